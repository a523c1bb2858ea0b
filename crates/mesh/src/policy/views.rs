//! The engines of callers from whom something is held back: each has the API that its callers know of,
//! so that what they may not know is in no answer, no suggestion and no plan.
//!
//! In: who asks. Out: an engine, made when it is first needed and kept with its plans; the number of those
//! that are kept is bounded, whatever audiences tokens carry. Not here: holding rows and values back.

use std::sync::Arc;

use base::principal::Audiences;
use base::{Principal, Result};
use indexmap::IndexMap;
use parking_lot::Mutex;
use schema::Schema;

use crate::engine::{Engine, Settings};
use crate::fetch::service::Service;
use crate::source::Source;

/// Views that are kept.
const KEPT: usize = 32;

/// The share of the plans that one view may keep.
const SHARE: usize = 8;

/// What engines of views are made of.
pub(crate) struct Views {
    schema: Arc<Schema>,
    tables: Arc<dyn Source>,
    services: Vec<Arc<dyn Service>>,
    settings: Settings,
    /// The least lately used one first.
    made: Mutex<IndexMap<Audiences, Arc<Engine>>>,
}

impl Views {
    /// The views of a schema; `None` when everybody sees all of it. The tables hold its policies.
    pub(crate) fn of(
        schema: &Arc<Schema>,
        tables: &Arc<dyn Source>,
        services: &[Arc<dyn Service>],
        settings: &Settings,
    ) -> Option<Self> {
        if !schema.is_protected() {
            return None;
        }
        let mut settings = settings.clone();
        settings.limits.plans = (settings.limits.plans / SHARE).max(1);
        settings.limits.plan_fields = (settings.limits.plan_fields / SHARE).max(1);
        Some(Views {
            schema: Arc::clone(schema),
            tables: Arc::clone(tables),
            services: services.to_vec(),
            settings,
            made: Mutex::default(),
        })
    }

    /// The engine of a caller; `None` for who sees all.
    ///
    /// # Errors
    /// When no API is left of what the caller may see.
    pub(crate) fn engine(&self, who: &Principal) -> Result<Option<Arc<Engine>>> {
        let Some(view) = self.schema.view_of(who) else { return Ok(None) };
        let mut made = self.made.lock();
        if let Some(engine) = made.shift_remove(&view) {
            made.insert(view, Arc::clone(&engine));
            return Ok(Some(engine));
        }
        let seen = Arc::new(self.schema.seen_by(who));
        let engine = Arc::new(Engine::of_view(
            &self.schema,
            seen,
            Arc::clone(&self.tables),
            self.services.clone(),
            self.settings.clone(),
        )?);
        if made.len() >= KEPT {
            made.shift_remove_index(0);
        }
        made.insert(view, Arc::clone(&engine));
        Ok(Some(engine))
    }
}
