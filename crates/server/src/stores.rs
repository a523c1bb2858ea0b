//! What the settings say about storage, made real: the metadata database, and places of objects by
//! their name.
//!
//! In: settings with their secrets. Out: an open database; an opener of places. Secrets come from
//! the environment (which `cli` reads) or from files that the settings name; they are never
//! printed. Not here: which place the objects are in now (`lake::place`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Kind, Result, Secret};
use futures::FutureExt;
use lake::place::Opener;
use lake::store::{LocalStore, S3Keys, S3Options, open_s3};
use meta::{Database, Options};
use object_store::ObjectStore;
use serde::Deserialize;

use crate::settings::Settings;

/// The place of the objects when neither the settings nor a move name another.
const OBJECTS: &str = ".headwater/objects";

/// A credentials file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Opens the metadata database.
pub(crate) async fn database(folder: &Path, state: &Path, settings: &Settings) -> Result<Database> {
    let url = match &settings.storage.metadata {
        Some(url) => url.clone(),
        None => format!("sqlite://{}", state.join("meta.db").display()),
    };
    let options = Options {
        patience: settings.storage.metadata_patience.0,
        connections: settings.storage.metadata_connections,
        password: metadata_password(folder, settings)?,
        ..Options::new()
    };
    Database::open_with(&url, options).await
}

/// The place that the settings name.
pub(crate) fn objects(settings: &Settings) -> &str {
    settings.storage.objects.as_deref().unwrap_or(OBJECTS)
}

/// Opens places: folders are relative to the project's.
pub(crate) fn opener(folder: &Path, settings: &Settings) -> Opener {
    let (folder, settings) = (folder.to_path_buf(), Arc::new(settings.clone()));
    Arc::new(move |place| {
        let (folder, settings) = (folder.clone(), Arc::clone(&settings));
        async move { open(&folder, &settings, &place).await }.boxed()
    })
}

async fn open(folder: &Path, settings: &Settings, place: &str) -> Result<Arc<dyn ObjectStore>> {
    if place.contains("://") {
        return open_s3(place, &s3_options(folder, settings)?).await;
    }
    Ok(Arc::new(LocalStore::open(&folder.join(place))?))
}

fn s3_options(folder: &Path, settings: &Settings) -> Result<S3Options> {
    let s3 = &settings.storage.s3;
    let keys = s3_keys(folder, settings)?;
    if keys.is_none() && !s3.machine_role {
        return Err(Error::new(Kind::Denied, "there is no key for the object store").hint(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a file in \
             `storage.s3.credentials_file`, or let `storage.s3.machine_role` be true",
        ));
    }
    Ok(S3Options {
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        keys,
        bucket_in_host: s3.bucket_in_host,
        request: s3.request_timeout.0,
        patience: s3.patience.0,
    })
}

fn s3_keys(folder: &Path, settings: &Settings) -> Result<Option<S3Keys>> {
    let secrets = &settings.secrets;
    if let (Some(id), Some(secret)) = (&secrets.access_key_id, &secrets.secret_access_key) {
        let (id, secret, token) = (id.clone(), secret.clone(), secrets.session_token.clone());
        return Ok(Some(S3Keys { id, secret, token }));
    }
    let Some(file) = &settings.storage.s3.credentials_file else { return Ok(None) };
    let (path, text) = secret_file(folder, file)?;
    let read: Credentials = toml::from_str(&text).map_err(|_| {
        // The parser's own words would show the line, and with it the key.
        Error::invalid(format!("`{}` holds no key of an object store", path.display()))
            .hint("write the lines `access_key_id = \"…\"` and `secret_access_key = \"…\"` into it")
    })?;
    Ok(Some(S3Keys {
        id: read.access_key_id,
        secret: Secret::new(read.secret_access_key),
        token: read.session_token.map(Secret::new),
    }))
}

fn metadata_password(folder: &Path, settings: &Settings) -> Result<Option<Secret>> {
    if let Some(password) = &settings.secrets.metadata_password {
        return Ok(Some(password.clone()));
    }
    let Some(file) = &settings.storage.metadata_password_file else { return Ok(None) };
    let (_, text) = secret_file(folder, file)?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
}

pub(crate) fn secret_file(folder: &Path, file: &Path) -> Result<(PathBuf, String)> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::from(error).context(format!("failed to read `{}`", path.display()))
    })?;
    Ok((path, text))
}
