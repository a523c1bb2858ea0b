//! Projects on a real object store: what a wrong setting says, and what is never printed.

use base::{Kind, Secret};
use server::Settings;
use server::settings::Secrets;
use testkit::{Postgres, Seaweed, TempProject, free_port};

use crate::backends::{on_servers, secrets};
use crate::lab::runtime;

/// Opens a project on these settings; gives its error with all causes.
#[track_caller]
fn refused(settings: Settings) -> (Kind, String, String) {
    let folder = TempProject::empty();
    let opened = runtime().block_on(server::Project::open(folder.path(), settings));
    let Err(error) = opened else { panic!("the project was opened") };
    let printed = format!("{error:?} {}", base::error_chain(&error).join("; "));
    assert!(!printed.contains("swordfish"), "{printed}");
    (error.kind(), error.message().to_owned(), error.hint_text().unwrap_or_default().to_owned())
}

fn sqlite(objects: &str, endpoint: &str) -> Settings {
    let mut settings = on_servers("sqlite:///unused", objects, endpoint);
    settings.storage.metadata = None;
    settings
}

#[test]
fn a_wrong_place_of_objects_is_named_with_what_to_do() {
    let Some(seaweed) = Seaweed::shared() else { return };
    let endpoint = seaweed.endpoint();
    let (kind, message, hint) = refused(sqlite("s3://no-such-bucket/a", &endpoint));
    assert_eq!(kind, Kind::NotFound);
    assert_eq!(message, "there is no bucket `no-such-bucket` for `s3://no-such-bucket/a`");
    assert!(hint.starts_with("create the bucket"), "{hint}");

    let place = format!("s3://{}/a", seaweed.new_bucket());
    let mut settings = sqlite(&place, &endpoint);
    settings.secrets.secret_access_key = Some(Secret::new("swordfish"));
    let (kind, message, hint) = refused(settings);
    assert_eq!(kind, Kind::Denied);
    assert_eq!(message, format!("the object store refuses our key at `{place}`"));
    assert!(hint.contains("AWS_SECRET_ACCESS_KEY"), "{hint}");

    let mut settings = sqlite(&place, &endpoint);
    settings.secrets = Secrets::default();
    let (kind, message, _) = refused(settings);
    assert_eq!((kind, message.as_str()), (Kind::Denied, "there is no key for the object store"));

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let (kind, message, hint) = refused(sqlite(&place, &nobody));
    assert_eq!(kind, Kind::Unavailable);
    assert_eq!(message, format!("the object store of `{place}` gave no answer"));
    assert!(hint.contains(&nobody), "{hint}");
}

#[test]
fn keys_are_read_from_a_file_and_a_broken_file_does_not_show_them() {
    let Some(seaweed) = Seaweed::shared() else { return };
    let folder = TempProject::empty();
    let place = format!("s3://{}/a", seaweed.new_bucket());
    let mut settings = sqlite(&place, &seaweed.endpoint());
    settings.storage.s3.credentials_file = Some("keys.toml".into());
    let known = secrets();
    settings.secrets = Secrets::default();
    let (id, key) = (known.access_key_id.unwrap(), known.secret_access_key.unwrap());
    let text = format!("access_key_id = \"{id}\"\nsecret_access_key = \"{}\"\n", key.reveal());
    folder.write("keys.toml", text);
    runtime().block_on(server::Project::open(folder.path(), settings.clone())).unwrap();
    folder.write("keys.toml", "access_key_id = \"a\"\nsecret_access_key = swordfish\n");
    let opened = runtime().block_on(server::Project::open(folder.path(), settings));
    let Err(error) = opened else { panic!("the project was opened") };
    assert!(error.message().contains("holds no key of an object store"), "{error}");
    assert!(!format!("{error:?}").contains("swordfish"), "{error:?}");
}

#[test]
fn a_metadata_database_that_cannot_be_reached_is_named_without_its_password() {
    let Some(_postgres) = Postgres::shared() else { return };
    let port = free_port();
    let text = format!("[storage]\nmetadata = \"postgres://ann@127.0.0.1:{port}/lake\"\n");
    let mut settings = Settings::parse(&text, "headwater.toml").unwrap();
    settings.secrets.metadata_password = Some(Secret::new("swordfish"));
    let (kind, message, hint) = refused(settings);
    assert_eq!(kind, Kind::Unavailable);
    assert!(message.contains(&format!("postgres://127.0.0.1:{port}/lake")), "{message}");
    assert!(hint.contains("can be reached"), "{hint}");
}
