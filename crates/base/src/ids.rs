//! Typed ids, all from one list, so that two of them cannot be swapped.

use std::fmt;

/// Declares newtypes over UUIDs; the list below is the whole of them.
macro_rules! typed_ids {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id from this source of randomness.
            pub fn generate(rng: &crate::rng::Rng) -> Self {
                $name(rng.uuid())
            }

            /// Wraps a UUID that was stored.
            pub fn from_uuid(uuid: uuid::Uuid) -> Self {
                $name(uuid)
            }

            /// The UUID, for storing.
            pub fn as_uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

typed_ids! {
    /// A table of the lake; stays when the table is renamed.
    TableId;
    /// An access token.
    TokenId;
    /// One run of a job: an import, a backup, an apply.
    RunId;
    /// One running process, for leases.
    NodeId;
}
