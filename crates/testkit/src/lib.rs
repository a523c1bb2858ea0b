//! Helpers for tests: temporary projects, golden files and transcripts, real servers, processes
//! that are killed, stores that fail on purpose.
//!
//! In: a seed, a folder of expectations, a store. Out: a verdict, by panicking with the difference.
//! Not here: anything that ships; no crate depends on this one outside of its tests.

pub mod counting_store;
pub mod diff;
pub mod ending_store;
pub mod federated;
pub mod golden;
pub mod hasty_store;
pub mod port;
pub mod postgres;
pub mod project;
pub mod proxy;
pub mod redact;
pub mod seaweed;
pub mod transcript;
pub mod unsynced_store;
pub mod victim;
pub mod wait;

pub use federated::{Federated, Library};
pub use golden::check;
pub use port::free_port;
pub use postgres::Postgres;
pub use project::TempProject;
pub use proxy::Proxy;
pub use seaweed::Seaweed;
pub use victim::Victim;
pub use wait::{wait_for, wait_for_async};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_server_gives_each_caller_its_own_database() {
        let Some(server) = Postgres::shared() else { return };
        assert_ne!(server.new_database(), server.new_database());
    }

    #[test]
    fn a_federated_service_listens_and_ends_with_its_owner() {
        for (name, library) in [("accounts", Library::Apollo), ("reviews", Library::Strawberry)] {
            let Some(service) = Federated::start(name, library) else { continue };
            let address =
                service.url().strip_prefix("http://").and_then(|url| url.split('/').next());
            let address = address.expect("an address").to_owned();
            assert!(std::net::TcpStream::connect(&address).is_ok());
            drop(service);
            assert!(std::net::TcpStream::connect(&address).is_err());
        }
    }

    #[test]
    fn a_project_holds_the_files_that_were_put_into_it() {
        let project = TempProject::with_schema("type A { id: ID! }").file("data/a.csv", "id\n1\n");
        assert_eq!(project.read("schema/main.graphql"), "type A { id: ID! }");
        assert_eq!(project.read("data/a.csv"), "id\n1\n");
    }
}
