//! Objects that arrive in parts.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::disk::{Disk, Temporary};
use super::generic;

/// Parts in their order; those that have come before their turn wait.
#[derive(Debug)]
struct Parts {
    file: Option<Temporary>,
    next: usize,
    waiting: std::collections::BTreeMap<usize, PutPayload>,
}

#[derive(Debug)]
struct LocalUpload {
    disk: Arc<Disk>,
    location: Path,
    parts: Arc<Mutex<Parts>>,
    count: usize,
}

/// Starts an upload; the object appears when it is complete.
pub(super) fn start(disk: Arc<Disk>, location: Path) -> Result<Box<dyn MultipartUpload>> {
    disk.file_of(&location)?;
    let file = Some(disk.temporary()?);
    let parts = Parts { file, next: 0, waiting: std::collections::BTreeMap::new() };
    Ok(Box::new(LocalUpload { disk, location, parts: Arc::new(Mutex::new(parts)), count: 0 }))
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let parts = Arc::clone(&self.parts);
        let number = self.count;
        self.count += 1;
        async move {
            let work = move || parts.lock().add(number, data);
            base::task::blocking("write a part", work).await.map_err(generic)?
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (disk, location) = (Arc::clone(&self.disk), self.location.clone());
        let (parts, count) = (Arc::clone(&self.parts), self.count);
        let work = move || {
            let file = parts.lock().take(count)?;
            disk.publish(file, &location, false)
        };
        base::task::blocking("complete an upload", work).await.map_err(generic)?
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.lock().file = None;
        Ok(())
    }
}

impl Parts {
    fn add(&mut self, number: usize, data: PutPayload) -> Result<()> {
        self.waiting.insert(number, data);
        while let Some(data) = self.waiting.remove(&self.next) {
            let file = self.file.as_mut().ok_or_else(over)?;
            for chunk in data.iter() {
                file.write(chunk)?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<Temporary> {
        if self.next != count {
            return Err(generic(base::Error::internal("an upload was completed before its parts")));
        }
        self.file.take().ok_or_else(over)
    }
}

fn over() -> object_store::Error {
    generic(base::Error::new(base::Kind::Cancelled, "the upload is over"))
}
