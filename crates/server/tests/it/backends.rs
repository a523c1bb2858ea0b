//! What a project of a test stands on: SQLite with local files, or real servers. In: a kind. Out:
//! settings for one fresh project. Not here: the servers (`testkit`).

use base::Secret;
use server::Settings;
use server::settings::Secrets;
use testkit::{Postgres, Seaweed, seaweed};

/// What a project stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// SQLite and a folder.
    Local,
    /// PostgreSQL and an S3 server.
    Servers,
}

impl Backend {
    /// Settings of a fresh project; `None` when the servers are not installed.
    pub(crate) fn settings(self) -> Option<Settings> {
        match self {
            Backend::Local => Some(Settings::default()),
            Backend::Servers => {
                let (postgres, seaweed) = (Postgres::shared()?, Seaweed::shared()?);
                let (url, bucket) = (postgres.new_database(), seaweed.new_bucket());
                Some(on_servers(&url, &format!("s3://{bucket}/project"), &seaweed.endpoint()))
            }
        }
    }
}

/// Settings of a project on servers.
pub(crate) fn on_servers(metadata: &str, objects: &str, endpoint: &str) -> Settings {
    let text = format!(
        "[storage]\nmetadata = \"{metadata}\"\nobjects = \"{objects}\"\n\
         [storage.s3]\nendpoint = \"{endpoint}\"\n"
    );
    let settings = Settings::parse(&text, "headwater.toml").unwrap();
    Settings { secrets: secrets(), ..settings }
}

/// The key of the test's object store.
pub(crate) fn secrets() -> Secrets {
    Secrets {
        access_key_id: Some(seaweed::KEY_ID.to_owned()),
        secret_access_key: Some(Secret::new(seaweed::KEY)),
        ..Secrets::default()
    }
}
