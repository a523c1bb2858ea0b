//! The local store against the contract of `object_store`, a full disk and a crash that keeps only
//! what was synced.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use testkit::unsynced_store::UnsyncedFolder;

use super::{Durability, LocalStore};

fn store() -> (tempfile::TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    (folder, store)
}

async fn names(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let listed = store.list(prefix.as_ref()).map_ok(|meta| meta.location.to_string());
    let mut names: Vec<String> = listed.try_collect().await.unwrap();
    names.sort();
    names
}

async fn put(store: &dyn ObjectStore, name: &str, text: &str) {
    store.put(&Path::from(name), PutPayload::from(text.to_owned())).await.unwrap();
}

async fn get(store: &dyn ObjectStore, name: &str) -> String {
    let bytes = store.get(&Path::from(name)).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn objects_are_put_read_by_range_copied_renamed_and_deleted() {
    let (_folder, store) = store();
    put(&store, "a/b/c.txt", "hello world").await;
    put(&store, "a/d.txt", "other").await;
    let range = store.get_range(&Path::from("a/b/c.txt"), 6..11).await.unwrap();
    assert_eq!(range, Bytes::from("world"));
    let ranges = store.get_ranges(&Path::from("a/b/c.txt"), &[0..2, 6..8]).await.unwrap();
    assert_eq!(ranges, [Bytes::from("he"), Bytes::from("wo")]);
    store.copy(&Path::from("a/d.txt"), &Path::from("x/copy.txt")).await.unwrap();
    store.rename(&Path::from("a/d.txt"), &Path::from("y/moved.txt")).await.unwrap();
    assert_eq!(names(&store, None).await, ["a/b/c.txt", "x/copy.txt", "y/moved.txt"]);
    store.delete(&Path::from("x/copy.txt")).await.unwrap();
    assert_eq!(names(&store, Some("x")).await, [] as [&str; 0]);
    let level = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(level.common_prefixes, [Path::from("a"), Path::from("y")]);
    assert!(matches!(
        store.head(&Path::from("a/d.txt")).await,
        Err(object_store::Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn creating_an_object_that_exists_is_refused_and_keeps_it() {
    let (_folder, store) = store();
    put(&store, "one", "first").await;
    let again = store
        .put_opts(&Path::from("one"), PutPayload::from_static(b"second"), PutMode::Create.into())
        .await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })));
    assert_eq!(get(&store, "one").await, "first");
}

#[tokio::test]
async fn an_upload_appears_when_it_is_complete_with_its_parts_in_order() {
    let (_folder, store) = store();
    let location = Path::from("big/object");
    let mut upload = store.put_multipart(&location).await.unwrap();
    let first = upload.put_part(PutPayload::from_static(b"one "));
    let second = upload.put_part(PutPayload::from_static(b"two"));
    second.await.unwrap();
    first.await.unwrap();
    assert_eq!(names(&store, None).await, [] as [&str; 0]);
    upload.complete().await.unwrap();
    assert_eq!(get(&store, "big/object").await, "one two");
    let mut dropped = store.put_multipart(&Path::from("other")).await.unwrap();
    dropped.put_part(PutPayload::from_static(b"never")).await.unwrap();
    drop(dropped);
    assert_eq!(names(&store, None).await, ["big/object"]);
}

#[tokio::test]
async fn temporary_files_of_the_dead_are_swept_and_those_of_the_living_are_kept() {
    let (folder, store) = store();
    let left = folder.path().join(".tmp/99999-1");
    std::fs::write(&left, "half").unwrap();
    let mut living = store.put_multipart(&Path::from("living")).await.unwrap();
    living.put_part(PutPayload::from_static(b"whole")).await.unwrap();
    let other = LocalStore::open(folder.path()).unwrap();
    assert!(!left.try_exists().unwrap());
    living.complete().await.unwrap();
    assert_eq!(get(&other, "living").await, "whole");
}

#[tokio::test]
async fn the_folder_of_temporary_files_is_no_place_for_objects() {
    let (_folder, store) = store();
    let refused = store.put(&Path::from(".tmp/x"), PutPayload::from_static(b"")).await;
    assert!(refused.unwrap_err().to_string().contains("no object can be named `.tmp/x`"));
}

/// Writes in all ways, crashes, and gives what the crash left.
async fn after_a_crash(skip: bool) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let model = Arc::new(UnsyncedFolder::new(folder.path()).unwrap());
    let hook = Arc::clone(&model);
    let sync = if skip {
        Durability::Skip
    } else {
        Durability::Watched(Arc::new(move |path| hook.synced(path)))
    };
    let store = LocalStore::open_with(folder.path(), sync).unwrap();
    put(&store, "t/data/one", "1").await;
    put(&store, "t/data/two", "old").await;
    put(&store, "t/data/two", "2").await;
    let mut upload = store.put_multipart(&Path::from("t/meta/three")).await.unwrap();
    upload.put_part(PutPayload::from_static(b"3")).await.unwrap();
    upload.complete().await.unwrap();
    store.copy(&Path::from("t/data/one"), &Path::from("u/four")).await.unwrap();
    store.rename(&Path::from("u/four"), &Path::from("v/w/five")).await.unwrap();
    let gone = ["gone", "t/data/gone", "v/gone"];
    for name in gone {
        put(&store, name, "x").await;
    }
    let gone = futures::stream::iter(gone.map(|name| Ok(Path::from(name))));
    store.delete_stream(gone.boxed()).try_collect::<Vec<_>>().await.unwrap();
    let left = tempfile::tempdir().unwrap();
    model.crash(left.path()).unwrap();
    let left_store = LocalStore::open(left.path()).unwrap();
    let mut objects = Vec::new();
    for name in names(&left_store, None).await {
        let text = get(&left_store, &name).await;
        objects.push((name, text));
    }
    objects
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_and_nothing_else_does() {
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(
        after_a_crash(false).await,
        [
            pair("t/data/one", "1"),
            pair("t/data/two", "2"),
            pair("t/meta/three", "3"),
            pair("v/w/five", "1")
        ]
    );
}

#[tokio::test]
async fn the_crash_model_sees_a_store_that_does_not_sync() {
    assert_eq!(after_a_crash(true).await, []);
}

/// Files that are deleted together, and how often a folder of theirs was synced after them.
async fn deleted_together(fails: bool) -> (Vec<bool>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let synced = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let log = Arc::clone(&synced);
    let hook: super::SyncHook = Arc::new(move |path| {
        // The hook hears of a sync when it has happened: what is gone is gone for good.
        let left = path.ends_with("t/data") && path.join("0").try_exists()?;
        log.lock().push((path.to_path_buf(), left));
        let emptied = path.ends_with("t/data") && !left && !path.join("1").try_exists()?;
        if fails && emptied { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    let store = LocalStore::open_with(folder.path(), Durability::Watched(hook)).unwrap();
    for name in ["t/data/0", "t/data/1", "t/data/2", "t/meta/3"] {
        put(&store, name, "x").await;
    }
    synced.lock().clear();
    let names = ["t/data/0", "t/data/1", "t/data/gone", "t/meta/3", "t/data/2"];
    let names = futures::stream::iter(names.map(|name| Ok(Path::from(name))));
    let deleted: Vec<_> = store.delete_stream(names.boxed()).collect().await;
    let missing = matches!(deleted[2], Err(object_store::Error::NotFound { .. }));
    assert_ne!(missing, fails, "{deleted:?}");
    let synced = synced.lock();
    assert!(synced.iter().all(|(_, left)| !left), "{synced:?}");
    (deleted.iter().map(Result::is_ok).collect(), synced.len())
}

#[tokio::test]
async fn folders_of_files_that_are_deleted_together_are_synced_once_after_them() {
    assert_eq!(deleted_together(false).await, (vec![true, true, false, true, true], 2));
}

#[tokio::test]
async fn a_deletion_is_not_acknowledged_when_its_folder_was_not_synced() {
    assert_eq!(deleted_together(true).await, (vec![false, false, false, true, false], 2));
}

#[tokio::test]
async fn a_full_disk_is_said_in_words_and_leaves_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let full: super::SyncHook = Arc::new(|path| {
        let temporary =
            path.parent().and_then(std::path::Path::file_name).is_some_and(|name| name == ".tmp");
        if temporary { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    let store = LocalStore::open_with(folder.path(), Durability::Watched(full)).unwrap();
    let refused = store.put(&Path::from("t/one"), PutPayload::from_static(b"1")).await.unwrap_err();
    assert!(refused.to_string().contains("the disk is full: failed to write"), "{refused}");
    assert_eq!(names(&store, None).await, [] as [&str; 0]);
    assert_eq!(std::fs::read_dir(folder.path().join(".tmp")).unwrap().count(), 0);
}
