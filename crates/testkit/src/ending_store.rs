//! A store under which the world ends at a counted moment. In: any object store, the number of a
//! changing call, and how it ends. Out: the same store until then; afterwards the process is dead
//! ([`End::Kill`]) or no call ever returns again ([`End::Freeze`]), as when the power fails. Not
//! here: what a crash keeps (`unsynced_store`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tokio::sync::watch;

/// How the world ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `SIGKILL` for this process.
    Kill,
    /// No call returns any more.
    Freeze,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    Frozen,
    /// Calls fail, so that whoever waits for one comes to an end.
    Over,
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// At this changing call, counted from 1; 0 is never.
    pub call: u64,
    /// Before the call is made, or after it.
    pub before: bool,
    /// So much later.
    pub later: Duration,
}

/// See the module; clones share the count.
#[derive(Clone, Debug)]
pub struct EndingStore {
    inner: Arc<dyn ObjectStore>,
    doom: Arc<Doom>,
}

#[derive(Debug)]
struct Doom {
    end: End,
    moment: Moment,
    calls: AtomicU64,
    state: watch::Sender<State>,
}

impl EndingStore {
    /// Passes calls on to `inner` until the moment.
    pub fn new(inner: Arc<dyn ObjectStore>, end: End, moment: Moment) -> Self {
        let (state, _) = watch::channel(State::Alive);
        let doom = Doom { end, moment, calls: AtomicU64::new(0), state };
        EndingStore { inner, doom: Arc::new(doom) }
    }

    /// Another store under which the same world ends; its calls count with the others.
    pub fn beside(&self, inner: Arc<dyn ObjectStore>) -> Self {
        EndingStore { inner, doom: Arc::clone(&self.doom) }
    }

    /// Ends it so much later.
    pub fn end_in(&self, later: Duration) {
        self.doom.strike_in(later);
    }

    /// Ends it now.
    pub fn end(&self) {
        self.doom.strike();
    }

    /// Waits until it has ended; only a freeze can be waited for.
    pub async fn ended(&self) {
        let mut state = self.doom.state.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ended = state.wait_for(|state| *state != State::Alive).await;
    }

    /// Lets all calls that never return fail instead: when everything was judged, tasks that wait for
    /// them must not live on.
    pub fn release(&self) {
        self.doom.state.send_replace(State::Over);
    }
}

impl Doom {
    fn strike(&self) {
        match self.end {
            End::Kill => {
                let _dead = kill(Pid::this(), Signal::SIGKILL);
            }
            End::Freeze => {
                self.state.send_if_modified(|state| {
                    let alive = *state == State::Alive;
                    if alive {
                        *state = State::Frozen;
                    }
                    alive
                });
            }
        }
    }

    /// Does not return once it has ended, and fails once everything is over.
    async fn alive(&self) -> Result<()> {
        if *self.state.borrow() == State::Alive {
            return Ok(());
        }
        let mut state = self.state.subscribe();
        let _over = state.wait_for(|state| *state == State::Over).await;
        let source = std::io::Error::other("the power is gone").into();
        Err(object_store::Error::Generic { store: "EndingStore", source })
    }

    /// Counts a changing call; gives its number.
    async fn enter(&self) -> Result<u64> {
        self.alive().await?;
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.moment.call && self.moment.before {
            self.strike();
            self.alive().await?;
        }
        Ok(number)
    }

    async fn leave(self: &Arc<Self>, number: u64) -> Result<()> {
        if number != self.moment.call || self.moment.before {
            return self.alive().await;
        }
        self.strike_in(self.moment.later);
        if self.moment.later.is_zero() { self.alive().await } else { Ok(()) }
    }

    fn strike_in(self: &Arc<Self>, later: Duration) {
        if later.is_zero() {
            return self.strike();
        }
        let doom = Arc::clone(self);
        // The end must fall into whatever comes meanwhile, so this pause is the point of it.
        std::thread::spawn(move || {
            std::thread::sleep(later);
            doom.strike();
        });
    }
}

impl fmt::Display for EndingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for EndingStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let number = self.doom.enter().await?;
        let result = self.inner.put_opts(to, payload, opts).await;
        self.doom.leave(number).await?;
        result
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let number = self.doom.enter().await?;
        let inner = self.inner.put_multipart_opts(to, opts).await?;
        self.doom.leave(number).await?;
        Ok(Box::new(EndingUpload { inner, doom: Arc::clone(&self.doom) }))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.doom.alive().await?;
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let number = store.doom.enter().await?;
                    let one = futures::stream::once(std::future::ready(location)).boxed();
                    let mut deleted = store.inner.delete_stream(one);
                    let result = deleted.next().await;
                    store.doom.leave(number).await?;
                    result.unwrap_or_else(|| {
                        let source = std::io::Error::other("a deletion gave no answer").into();
                        Err(object_store::Error::Generic { store: "EndingStore", source })
                    })
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.doom.alive().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let number = self.doom.enter().await?;
        let result = self.inner.copy_opts(from, to, options).await;
        self.doom.leave(number).await?;
        result
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let number = self.doom.enter().await?;
        let result = self.inner.rename_opts(from, to, options).await;
        self.doom.leave(number).await?;
        result
    }
}

/// An upload whose parts count as calls.
#[derive(Debug)]
struct EndingUpload {
    inner: Box<dyn MultipartUpload>,
    doom: Arc<Doom>,
}

#[async_trait]
impl MultipartUpload for EndingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, doom) = (self.inner.put_part(data), Arc::clone(&self.doom));
        async move {
            let number = doom.enter().await?;
            let result = part.await;
            doom.leave(number).await?;
            result
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let number = self.doom.enter().await?;
        let result = self.inner.complete().await;
        self.doom.leave(number).await?;
        result
    }

    async fn abort(&mut self) -> Result<()> {
        self.doom.alive().await?;
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn nothing_returns_after_the_counted_call() {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let moment = Moment { call: 2, before: false, later: Duration::ZERO };
        let store = EndingStore::new(Arc::clone(&inner), End::Freeze, moment);
        let names = ["a", "b", "c"].map(Path::from);
        let writes = async {
            for name in &names {
                store.put(name, "x".into()).await.expect("stored");
            }
        };
        tokio::select! {
            () = writes => panic!("the writes went on"),
            () = store.ended() => {}
        }
        let there: Vec<bool> = futures::future::join_all(names.iter().map(|name| inner.head(name)))
            .await
            .iter()
            .map(std::result::Result::is_ok)
            .collect();
        assert_eq!(there, [true, true, false]);
    }

    #[tokio::test]
    async fn calls_of_both_stores_count_and_both_end() {
        let (one, other): (Arc<dyn ObjectStore>, Arc<dyn ObjectStore>) =
            (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
        let moment = Moment { call: 2, before: true, later: Duration::ZERO };
        let store = EndingStore::new(Arc::clone(&one), End::Freeze, moment);
        let beside = store.beside(Arc::clone(&other));
        let name = Path::from("a");
        store.put(&name, "x".into()).await.expect("stored");
        tokio::select! {
            _ = beside.put(&name, "x".into()) => panic!("the second call returned"),
            () = store.ended() => {}
        }
        assert!(one.head(&name).await.is_ok() && other.head(&name).await.is_err());
    }
}
