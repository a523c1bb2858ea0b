//! What is noted of an operation over several services.

use base::Principal;
use mesh::record::{Record, Step, Trace, Work};
use mesh::{Recorder, Request};

use super::graph::{folder, read};
use super::service::{Failure, Federation};

const QUERY: &str = "query Home { topProducts { name inStock reviews { body author { name } } } }";

fn federation() -> Federation {
    Federation::new(read(&folder().join("shop").join("sources.graphql")))
}

async fn steps(federation: &Federation, text: &str, is_detailed: bool) -> (Vec<Step>, bool) {
    let trace = Trace { id: [1; 16], span: [2; 8], is_sampled: true, is_continued: false };
    let record = Record::new(Some(trace), is_detailed);
    let recorder: Recorder = record.recorder();
    federation.shared.calls.lock().clear();
    let request = Request { recorder, ..Request::new(text, Principal::local()) };
    federation.engine.execute(request).await;
    let operation = record.operation().expect("an operation");
    assert_eq!((operation.kind, operation.usage.operation.as_str()), ("query", "Home"));
    (record.take_steps(), operation.is_planned)
}

#[tokio::test]
async fn each_call_is_a_step_of_the_operation_with_its_source() {
    let federation = federation();
    let (found, is_planned) = steps(&federation, QUERY, true).await;
    let whole = found.iter().find(|step| step.work == Work::Operation).expect("a step");
    assert_eq!((whole.parent, is_planned), ([2; 8], false));
    assert_eq!(found.iter().filter(|step| step.work == Work::Plan).count(), 1);
    let calls: Vec<_> = found
        .iter()
        .filter_map(|step| match &step.work {
            Work::Call(call) => Some((step, call)),
            _ => None,
        })
        .collect();
    let made = federation.shared.calls.lock().clone();
    assert!(made.len() > 1, "{made:?}");
    let mut expected: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    let mut noted: Vec<&str> = calls.iter().map(|(_, call)| call.source.as_ref()).collect();
    expected.sort_unstable();
    noted.sort_unstable();
    assert_eq!(noted, expected);
    for (step, call) in calls {
        assert_eq!((step.parent, step.error), (whole.id, None));
        assert!(call.sent > 0 && call.received > 0 && !call.owner.is_empty(), "{call:?}");
    }
    let (again, is_planned) = steps(&federation, QUERY, true).await;
    assert!(is_planned && again.iter().all(|step| step.work != Work::Plan));
}

#[tokio::test]
async fn a_call_that_fails_has_its_code_and_without_details_there_are_no_steps() {
    let federation = federation();
    for source in &federation.graph.sources {
        federation.shared.failures.lock().push((source.name.to_string(), Failure::Refused));
    }
    let (found, _) = steps(&federation, QUERY, true).await;
    let failed = found.iter().filter(|step| matches!(step.work, Work::Call(_)));
    assert!(failed.clone().count() > 0);
    assert!(failed.clone().all(|step| step.error == Some("UNAVAILABLE")), "{found:?}");
    let (none, _) = steps(&federation, QUERY, false).await;
    assert_eq!(none, []);
}
