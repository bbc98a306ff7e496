use super::*;
use toy::{Flaw, Toy};

mod toy;

fn plan(images: u64) -> Plan {
    Plan { images, again_every: 10, ..Plan::default() }
}

fn found(flaw: Flaw) -> Report {
    sweep(&Toy::with(flaw), &Plan { max_violations: 1, ..plan(5000) })
}

#[test]
fn an_engine_that_keeps_its_promises_passes() {
    let plan = plan(1000);
    let report = sweep(&Toy::with(Flaw::None), &plan);
    assert_eq!(report.failures(&plan), Vec::<String>::new());
    assert!(report.distinct >= 1000);
    assert!(report.crashes_again >= 500, "{} crashes inside recoveries", report.crashes_again);
    assert!(report.crash_images > report.distinct);
    assert_eq!(report.panics, 0);
}

#[test]
fn every_flaw_is_caught_and_its_replay_shows_it_again() {
    for flaw in Flaw::ALL {
        let report = found(flaw);
        let violation = report.violations.first();
        let Some(Violation { place: Some(place), message }) = violation else {
            panic!("{flaw:?} was not caught in {} images", report.crash_images);
        };
        let place: Place = place.to_string().parse().expect("a place can be read back");
        let replayed = replay(&Toy::with(flaw), &place).expect("the script still runs");
        assert_eq!(replayed.outcome.as_ref().err(), Some(message), "{flaw:?} at {place}");
        let right = replay(&Toy::with(Flaw::None), &place).expect("the script runs");
        assert!(right.outcome.is_ok(), "{place}: {:?}", right.outcome);
    }
}

#[test]
fn a_failing_script_is_made_as_short_as_it_fails() {
    let toy = Toy::with(Flaw::SkipSync);
    let place = found(Flaw::SkipSync).violations[0].place.clone().expect("it has a place");
    let steps = place.script.steps(place.seed);
    let shrunk = shrink(&toy, &steps, place.seed, place.crash, 10_000).expect("it fails");
    assert!(shrunk.steps.len() < steps.len() && shrunk.steps.len() <= 8, "{:?}", shrunk.steps);
    assert!(shrunk.message.contains("promised"), "{}", shrunk.message);
    assert!(shrink(&Toy::with(Flaw::None), &steps, place.seed, place.crash, 10_000).is_none());
}

#[test]
fn a_lost_durable_commit_is_called_lost() {
    let report = found(Flaw::SkipSync);
    let message = report.violations.first().map(|violation| violation.message.clone());
    assert!(message.is_some_and(|message| message.contains("promised")));
}

#[test]
fn a_panic_in_the_engine_is_a_violation() {
    let report = found(Flaw::PanicOnTornTail);
    assert_eq!(report.panics, 1);
    assert!(report.violations[0].message.starts_with("panic: "));
}

#[test]
fn doing_too_little_is_a_failure() {
    let plan = Plan { max_seeds: 5, scripts: vec![Script::Create], ..plan(1_000_000) };
    let report = sweep(&Toy::with(Flaw::None), &plan);
    assert!(report.violations.is_empty());
    assert_eq!(report.failures(&plan).len(), 1);
    let nothing = Report { distinct: 1_000_000, ..Report::default() };
    assert_eq!(nothing.failures(&plan), ["script create did not make its calls"]);
}

#[test]
fn the_same_seed_sweeps_the_same_images() {
    let run = || sweep(&Toy::with(Flaw::None), &plan(500));
    let (first, second) = (run(), run());
    let facts = |r: &Report| (r.trace_hash, r.crash_images, r.distinct, r.crashes_again, r.ops);
    assert_eq!(facts(&first), facts(&second));
    let other = sweep(&Toy::with(Flaw::None), &Plan { seed: 99, ..plan(500) });
    assert_ne!(first.trace_hash, other.trace_hash);
}

#[test]
fn bounds_follow_the_marks_of_the_run() {
    let run = run(&Toy::with(Flaw::None), &Script::Create.steps(3), 3).expect("the script runs");
    let calls = run.recording.call_count();
    let before = run.bounds(0);
    assert_eq!((before.created, before.attempted), (false, 0));
    let after = run.bounds(calls);
    assert!(after.created);
    assert_eq!(after.acked, run.history.last());
    let steps: Vec<Bounds> = (0..=calls).map(|call| run.bounds(call)).collect();
    for bounds in &steps {
        assert!(bounds.durable <= bounds.acked, "{bounds:?}");
        assert!(bounds.acked <= bounds.attempted.max(bounds.acked), "{bounds:?}");
    }
    for pair in steps.windows(2) {
        assert!(pair[0].acked <= pair[1].acked && pair[0].durable <= pair[1].durable);
    }
}

#[test]
fn a_place_reads_back_as_it_was_written() {
    let text = "grow:17:sectors50:42/3:kill/1:newest-zero";
    let place: Place = text.parse().expect("well formed");
    assert_eq!(place.to_string(), text);
    assert_eq!(place.again.len(), 2);
    for bad in
        ["", "grow:1:kill", "grow:x:kill:1", "dig:1:kill:1", "grow:1:kill:1/2", "grow:1:burn:1"]
    {
        assert!(bad.parse::<Place>().is_err(), "{bad}");
    }
}

#[test]
fn a_report_is_one_line_of_json() {
    let plan = plan(200);
    let json = sweep(&Toy::with(Flaw::None), &plan).to_json(&plan);
    assert!(json.starts_with("{\"rig\":\"crash_sweep\",\"seed\":1,"));
    assert!(json.contains("\"violations\":0,") && json.ends_with("\"}"));
    assert_eq!(json.lines().count(), 1);
}
