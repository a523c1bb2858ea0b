//! Watches requests from their head to the head of their answer, and reports numbers to who takes them.
//!
//! In: requests on their way in and out. Out: counts, and what `telemetry` tells of each; all numbers of the
//! server for whoever asks. A request that is dropped on the way was given up by its client.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use base::Result;
use base::task::{self, Task};

use super::metrics::{debt, sources};
use super::{App, Shared};
use crate::telemetry::family::Family;
use crate::telemetry::{GIVEN_UP, Head, Seen};

/// A request that is being answered.
pub(super) struct Watch {
    app: Shared,
    seen: Arc<Seen>,
    is_over: bool,
}

impl Watch {
    /// Begins, and lets the handlers of the request say what they learn.
    pub(super) fn begin(app: &Shared, request: &mut Request) -> Watch {
        let path = request.extensions().get::<MatchedPath>();
        let head = Head {
            method: request.method(),
            route: path.map_or("/", MatchedPath::as_str),
            version: request.version(),
            is_tls: app.is_tls,
            headers: request.headers(),
        };
        let seen = app.telemetry.begin(head);
        request.extensions_mut().insert(Arc::clone(&seen));
        Watch { app: Arc::clone(app), seen, is_over: false }
    }

    /// The request was answered with this status.
    pub(super) fn end(mut self, status: u16) {
        self.tell(status);
    }

    fn tell(&mut self, status: u16) {
        self.is_over = true;
        let took = self.seen.took();
        self.app.metrics.end(&self.seen, status, took);
        self.app.telemetry.end(&self.seen, status, took);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(GIVEN_UP);
        }
    }
}

/// All numbers of the server.
pub(super) async fn families(app: &App) -> Result<Vec<Family>> {
    let project = &app.project;
    let owed = app.debt.of(project).await?;
    let live = project.live();
    let schema = &live.deployed.schema;
    let mut families = app.metrics.families();
    families.extend(project.gate.families());
    families.push(app.streams.family());
    families.extend(debt(&owed, schema));
    families.extend(sources(&project.services.health(), |name| {
        // Nobody any more, when the schema has left the service.
        let service = schema.service_named(name);
        service.map(|service| schema.modules[service.module].owner.to_string()).unwrap_or_default()
    }));
    families.extend(app.telemetry.families());
    Ok(families)
}

/// Reports the numbers from time to time, where somebody takes them.
pub(super) fn reports(app: &Shared) -> Option<Task<()>> {
    let period = app.project.settings.telemetry.metrics.0;
    if !app.telemetry.exports() || period.is_zero() {
        return None;
    }
    let app = Arc::clone(app);
    Some(task::spawn("report metrics", async move {
        loop {
            tokio::time::sleep(period).await;
            report(&app).await;
        }
    }))
}

/// Reports the numbers now.
pub(super) async fn report(app: &App) {
    if !app.telemetry.exports() || app.project.settings.telemetry.metrics.0.is_zero() {
        return;
    }
    match families(app).await {
        Ok(families) => app.telemetry.export(&families).await,
        Err(error) => tracing::warn!(%error, "failed to count what is reported"),
    }
}
