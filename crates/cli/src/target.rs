//! Where a command is carried out: in process on a project's folder, or by a running server. Both
//! take the same requests and give the same answers.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::Principal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use server::wire::{ExportRequest, ImportAnswer, ImportRequest, Progress, SchemaText};
use server::{Project, Settings, operations};

use crate::arguments::Global;
use crate::printer::Failure;
use crate::remote::Remote;

/// Takes reports of how far a long operation is.
pub(crate) type Report<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// A project in process, or a server.
pub(crate) enum Target {
    Local(Box<Project>),
    Remote(Remote),
}

impl Target {
    /// Opens what the options name.
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        if let Some(url) = &global.server {
            return Ok(Target::Remote(Remote::new(url, global.token.clone())?));
        }
        let folder = project_folder(global)?;
        let settings = global.settings(&folder)?;
        Target::local(&folder, settings).await
    }

    /// Opens a project in process.
    pub(crate) async fn local(folder: &Path, mut settings: Settings) -> Result<Self, Failure> {
        // What tends a table would be cut off when this command ends, and keep others away for a while.
        settings.maintenance.tends = false;
        Ok(Target::Local(Box::new(Project::open(folder, settings).await?)))
    }

    /// Carries an operation out.
    pub(crate) async fn call<A: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: &impl Serialize,
    ) -> Result<A, Failure> {
        self.call_reporting(operation, request, &mut |_| {}).await
    }

    /// Carries an operation out, with reports on the way.
    pub(crate) async fn call_reporting<A: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: &impl Serialize,
        report: Report<'_>,
    ) -> Result<A, Failure> {
        let request = to_json(request)?;
        let answer = match self {
            Target::Local(project) => {
                operations::call(project, &Principal::local(), operation, request, report).await?
            }
            Target::Remote(remote) => remote.call(operation, request, report).await?,
        };
        serde_json::from_value(answer).map_err(|error| {
            base::Error::internal(format!("the answer of `{operation}` has another shape"))
                .caused_by(error)
                .hint("use a `headwater` of the server's version")
                .into()
        })
    }

    /// Imports a file or folder of this machine.
    pub(crate) async fn import(
        &self,
        request: ImportRequest,
        report: Report<'_>,
    ) -> Result<ImportAnswer, Failure> {
        match self {
            Target::Local(_) => self.call_reporting("import", &request, report).await,
            Target::Remote(remote) => remote.import(request, report).await,
        }
    }

    /// Writes an export into `sink`; gives the number of rows when it is known.
    pub(crate) async fn export(
        &self,
        request: ExportRequest,
        sink: Box<dyn Write + Send>,
        report: Report<'_>,
    ) -> Result<Option<u64>, Failure> {
        match self {
            Target::Local(project) => {
                let rows =
                    operations::export(project, &Principal::local(), request, sink, report).await?;
                Ok(Some(rows))
            }
            Target::Remote(remote) => remote.export(request, sink).await,
        }
    }
}

/// The project's folder: the one named, or the nearest one upwards.
pub(crate) fn project_folder(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(folder) = &global.project {
        return match is_project(folder)? {
            true => Ok(absolute(folder)?),
            false => Err(Failure::user(
                format!(
                    "`{}` is no project: it has neither `headwater.toml` nor `schema/`",
                    folder.display()
                ),
                format!("make one with `headwater init {}`", folder.display()),
            )),
        };
    }
    let here = std::env::current_dir().map_err(base::Error::from)?;
    for folder in here.ancestors() {
        if is_project(folder)? {
            return Ok(folder.to_path_buf());
        }
    }
    Err(Failure::user(
        format!("no project in `{}` or above it", here.display()),
        "make one with `headwater init`, or name one with `--project FOLDER` or `--server URL`",
    ))
}

fn is_project(folder: &Path) -> Result<bool, Failure> {
    let exists = |name: &str| folder.join(name).try_exists().map_err(base::Error::from);
    Ok(exists("headwater.toml")? || exists("schema")?)
}

fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(folder).map_err(base::Error::from)?)
}

/// The SDL modules of the project in this folder, as a request carries them.
pub(crate) fn schema_text(global: &Global) -> Result<SchemaText, Failure> {
    let folder = project_folder(global)?;
    let settings = Settings::read(&folder)?;
    let sources = schema::load::read_folder(&folder.join(&settings.schema))?;
    Ok(SchemaText::from(&sources))
}

fn to_json(request: &impl Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(request)
        .map_err(|error| base::Error::internal("failed to write a request").caused_by(error).into())
}
