//! The methods that calls name: in comes a name, out comes what is known of it, from descriptors that the
//! schema holds, or from the service itself, which is asked once and then again only when it does not
//! know a method or did not answer, and not too often. Whoever needs a method meanwhile waits for the same answer.

use std::time::Duration;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use schema::protobuf::{self, Descriptors};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::reflect::{Unreflected, reflect};
use crate::transport::{Call, Transport};

/// How long a service that does not know a method is not asked again.
const PAUSE: Duration = Duration::from_secs(10);

/// How long one that did not answer is not: whoever waited for the same answer has it, too.
const BREATH: Duration = Duration::from_secs(1);

/// What is known of a service's methods.
pub(crate) struct Methods {
    given: Option<Descriptors>,
    /// Services that calls name.
    services: Vec<String>,
    asked: Mutex<Asked>,
}

/// What a service said when it was asked, and when it did not.
#[derive(Default)]
struct Asked {
    known: Option<(DescriptorPool, Instant)>,
    failed: Option<(Unreflected, Instant)>,
}

impl Methods {
    /// Methods of these descriptors, or of what the service says of these services.
    pub(crate) fn new(given: Option<Descriptors>, services: Vec<String>) -> Self {
        Methods { given, services, asked: Mutex::default() }
    }

    /// A method by its name in full; nothing when there is none. `asker` is a call of whoever needs it, and
    /// all of it takes as long as one call may.
    ///
    /// # Errors
    /// When the service does not say it.
    pub(crate) async fn get(
        &self,
        name: &str,
        transport: &Transport,
        asker: &Call,
    ) -> Result<Option<MethodDescriptor>, Unreflected> {
        if let Some(given) = &self.given {
            return Ok(given.method(name));
        }
        let mut asked = self.asked.lock().await;
        if let Some((pool, at)) = &asked.known {
            let found = protobuf::method(pool, name);
            if found.is_some() || at.elapsed() < PAUSE {
                return Ok(found);
            }
        }
        if let Some((failed, at)) = &asked.failed
            && at.elapsed() < BREATH
        {
            return Err(failed.clone());
        }
        let asking = reflect(transport, asker, &self.services);
        let said = tokio::time::timeout(transport.timeout(), asking).await;
        match said.unwrap_or_else(|_| Err(Unreflected::late(transport.timeout()))) {
            Ok(descriptors) => {
                let pool = descriptors.pool().clone();
                let found = protobuf::method(&pool, name);
                *asked = Asked { known: Some((pool, Instant::now())), failed: None };
                Ok(found)
            }
            Err(failed) => {
                asked.failed = Some((failed.clone(), Instant::now()));
                Err(failed)
            }
        }
    }
}
