//! Footers of Parquet files, held for the query engine.
//!
//! In: footers, by the paths of files that never change. Out: the same, until others pushed them out or
//! nobody asked for them for a while. The engine's own holder remembers every path that it ever held, to
//! count how often it was asked for: a few hundred bytes a file, for as long as the process lives. Not here:
//! reading footers (the engine's).

use std::collections::HashMap;

use datafusion::execution::cache::CacheAccessor;
use datafusion::execution::cache::cache_manager::{
    CachedFileMetadataEntry, FileMetadataCache, FileMetadataCacheEntry,
};
use object_store::path::Path;

use crate::cache::Cache;

/// Bytes of footers that are held.
const HELD_BYTES: usize = 64 << 20;

/// See the module.
pub(super) struct Footers {
    held: Cache<Path, CachedFileMetadataEntry>,
}

impl Footers {
    pub(super) fn new() -> Footers {
        Footers { held: Cache::new(HELD_BYTES) }
    }
}

impl CacheAccessor<Path, CachedFileMetadataEntry> for Footers {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.held.get(path)
    }

    fn put(&self, path: &Path, footer: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        let earlier = self.held.remove(path);
        let weight = footer.file_metadata.memory_size();
        self.held.put(path.clone(), footer, weight);
        earlier
    }

    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.held.remove(path)
    }

    fn contains_key(&self, path: &Path) -> bool {
        self.held.get(path).is_some()
    }

    fn len(&self) -> usize {
        self.held.len()
    }

    fn clear(&self) {
        self.held.clear();
    }

    fn name(&self) -> String {
        "Footers".to_owned()
    }
}

impl FileMetadataCache for Footers {
    fn cache_limit(&self) -> usize {
        HELD_BYTES
    }

    /// The limit is ours to say.
    fn update_cache_limit(&self, _limit: usize) {}

    /// A list for people who look into an engine; nobody looks into this one.
    fn list_entries(&self) -> HashMap<Path, FileMetadataCacheEntry> {
        HashMap::new()
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::sync::Arc;

    use chrono::DateTime;
    use datafusion::execution::cache::cache_manager::FileMetadata;
    use object_store::ObjectMeta;

    use super::*;

    struct Footer(usize);

    impl FileMetadata for Footer {
        fn as_any(&self) -> &dyn Any {
            self
        }

        fn memory_size(&self) -> usize {
            self.0
        }

        fn extra_info(&self) -> HashMap<String, String> {
            HashMap::new()
        }
    }

    fn held(footers: &Footers, name: &str, weight: usize) {
        let path = Path::from(name);
        let meta = ObjectMeta {
            location: path.clone(),
            last_modified: DateTime::UNIX_EPOCH,
            size: 1,
            e_tag: None,
            version: None,
        };
        footers.put(&path, CachedFileMetadataEntry::new(meta, Arc::new(Footer(weight))));
    }

    #[test]
    fn nothing_is_remembered_of_footers_that_are_not_held() {
        let footers = Footers::new();
        for file in 0..100 {
            held(&footers, &format!("{file}"), HELD_BYTES / 4);
        }
        assert_eq!(footers.len(), 4);
        assert!(footers.contains_key(&Path::from("99")) && !footers.contains_key(&Path::from("0")));
        assert!(footers.remove(&Path::from("99")).is_some());
        held(&footers, "huge", HELD_BYTES + 1);
        assert_eq!(footers.len(), 3);
        footers.clear();
        assert!(footers.is_empty());
    }
}
