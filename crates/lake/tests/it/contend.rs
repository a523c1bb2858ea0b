//! A writer that is slower than another one on the same table gets its turn all the same.
//!
//! The slow writer's store lets the fast one commit before each metadata file that the slow one writes:
//! it would lose every race, for ever. Only a hold of the table ends that.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use base::Principal;
use base::task::Task;
use frame::{DataType, Field, Value, Write, WriteOp, WriteRequest};
use futures::stream::BoxStream;
use lake::Lake;
use lake::store::LocalStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

use crate::lab::{self, Lab, film};

/// The store of the slow writer.
struct Overtaken {
    inner: Arc<dyn ObjectStore>,
    rival: Lake,
    /// Commits that the rival has made.
    made: AtomicU64,
    /// The rival's commits that wait for the slow writer.
    waiting: Mutex<Vec<Task<()>>>,
}

impl Overtaken {
    /// Lets the rival commit, or, when the table is held, lets it begin to.
    async fn overtake(&self) {
        let (rival, number) = (self.rival.clone(), self.made.fetch_add(1, Ordering::SeqCst));
        let commit = base::task::spawn("rival", async move {
            rival.write(upsert(&format!("rival {number}"))).await.unwrap();
        });
        if holds(&self.rival).await == 0 {
            commit.await.unwrap();
        } else {
            self.waiting.lock().push(commit);
        }
    }
}

/// Tables that somebody holds.
async fn holds(lake: &Lake) -> i64 {
    let sql = "SELECT COUNT(*) AS held FROM lake_holds";
    let row = lake.catalog().database().query_one(sql, &[]).await.unwrap().unwrap();
    row.int("held").unwrap()
}

fn upsert(id: &str) -> WriteRequest {
    let fields = ["id", "title"].map(|name| Field::new(name, DataType::String, false));
    let row = [id, "a title"].map(|value| Value::String(value.into())).to_vec();
    WriteRequest {
        table: "Film".into(),
        op: WriteOp::Upsert(vec![frame::convert::batch_of(&fields, &[row]).unwrap()]),
        idempotency_key: None,
        principal: Principal::local(),
    }
}

impl fmt::Debug for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overtaken").finish_non_exhaustive()
    }
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overtaken({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Overtaken {
    async fn put_opts(&self, to: &Path, bytes: PutPayload, with: PutOptions) -> Result<PutResult> {
        if to.as_ref().ends_with(".metadata.json") {
            self.overtake().await;
        }
        self.inner.put_opts(to, bytes, with).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        with: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, with).await
    }

    async fn get_opts(&self, from: &Path, with: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, with).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(below)
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, with: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, with).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_always_overtaken_takes_the_table_for_itself() {
    let lab = Lab::new(vec![film()]).await;
    let store = Arc::new(Overtaken {
        inner: Arc::new(LocalStore::open(&lab.folder.path().join("objects")).unwrap()),
        rival: lab.other(2).await,
        made: AtomicU64::new(0),
        waiting: Mutex::default(),
    });
    let slow = lab::open_over(lab.folder.path(), store.clone(), lab.lake.schema(), &lab.clock, 3);
    let slow = slow.await;
    slow.write(upsert("slow")).await.unwrap();
    let (made, waiting) =
        (store.made.load(Ordering::SeqCst), std::mem::take(&mut *store.waiting.lock()));
    assert!(made < 10, "it was overtaken {made} times");
    assert!(!waiting.is_empty(), "nobody had to wait for it");
    for commit in waiting {
        commit.await.unwrap();
    }
    let titles = lab.rows("Film").await.len() as u64;
    assert_eq!(titles, made + 1, "every commit is there");
    assert_eq!(holds(&lab.lake).await, 0, "the table was given back");
}
