use super::*;

fn count(steps: &[Step], is: impl Fn(&Step) -> bool) -> usize {
    steps.iter().filter(|step| is(step)).count()
}

#[test]
fn a_seed_determines_a_script() {
    for script in Script::ALL {
        assert_eq!(script.steps(7), script.steps(7));
        assert_ne!(script.steps(7), script.steps(8));
        assert_eq!(script.to_string().parse(), Ok(script));
    }
    assert!("sleep".parse::<Script>().is_err());
}

#[test]
fn every_script_opens_first_and_makes_the_ledger_its_first_tree() {
    for script in Script::ALL {
        for seed in 0..20 {
            let steps = script.steps(seed);
            assert!(matches!(steps[0], Step::Open(Setup { create: true, .. })));
            let created = steps.iter().find(|step| matches!(step, Step::CreateTree(_)));
            assert_eq!(created, Some(&Step::CreateTree(0)));
            assert!(!steps.contains(&Step::DropTree(0)));
        }
    }
}

#[test]
fn the_growing_script_uses_every_kind_of_change() {
    let steps: Vec<Step> = (0..4).flat_map(|seed| Script::Grow.steps(seed)).collect();
    let long = |least: usize| {
        count(&steps, |step| matches!(step, Step::Put(_, _, value) if value.len() >= least))
    };
    assert!(long(0) > 400, "{} puts", long(0));
    assert!(long(4201) >= 10, "{} values with a run", long(4201));
    assert!(count(&steps, |step| matches!(step, Step::Remove(..))) > 100);
    for step in [Step::Savepoint, Step::RollbackTo, Step::Release, Step::Rollback] {
        assert!(steps.contains(&step), "{step:?}");
    }
    assert!(count(&steps, |step| matches!(step, Step::DropTree(_))) == 4);
    for durability in [Durability::Normal, Durability::Full] {
        assert!(count(&steps, |step| *step == Step::Begin(durability)) > 10);
    }
}

#[test]
fn the_checkpoint_script_checkpoints_in_every_way() {
    for seed in 0..10 {
        let steps = Script::Checkpoint.steps(seed);
        let opened = |step: &Step, automatic: bool| match step {
            Step::Open(setup) => (setup.automatic != Automatic::Off) == automatic,
            _ => false,
        };
        assert_eq!(count(&steps, |step| opened(step, true)), 2);
        assert_eq!(count(&steps, |step| opened(step, false)), 1);
        assert_eq!(count(&steps, |step| *step == Step::Checkpoint(Mode::Passive)), 5);
        assert_eq!(count(&steps, |step| *step == Step::Close), 2);
        assert_eq!(count(&steps, |step| *step == Step::Pin), 1);
        assert_eq!(count(&steps, |step| *step == Step::Unpin), 1);
    }
}
