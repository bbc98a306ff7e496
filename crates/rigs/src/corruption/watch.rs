//! What a case may not do: panic, or go on for ever.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::exercise::Wrong;

/// A case that takes longer hangs; the slowest sound one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// A case that takes this long will not come back.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// The case under way, and since when.
type Current = Option<(String, Instant)>;

/// Runs cases under watch.
pub(crate) struct Watch {
    current: Arc<Mutex<Current>>,
    /// What the last panic said and where it was.
    panic: Arc<Mutex<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Panics are kept instead of printed from now on.
    pub(crate) fn start() -> Self {
        let current: Arc<Mutex<Current>> = Arc::default();
        let panic: Arc<Mutex<String>> = Arc::default();
        let watched = Arc::downgrade(&current);
        thread::spawn(move || watch(&watched));
        let kept = Arc::clone(&panic);
        std::panic::set_hook(Box::new(move |info| *locked(&kept) = info.to_string()));
        Self { current, panic }
    }

    /// Runs a case; a panic and a long wait are wrong.
    pub(crate) fn run<T>(
        &self,
        name: &str,
        case: impl FnOnce() -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        let begun = Instant::now();
        *locked(&self.current) = Some((name.to_owned(), begun));
        let outcome = catch_unwind(AssertUnwindSafe(case));
        *locked(&self.current) = None;
        let outcome = outcome.unwrap_or_else(|panic| Err(self.panicked(&panic)));
        let took = begun.elapsed();
        if outcome.is_ok() && took > PATIENCE {
            return Err(Wrong(format!("hang: it took {took:?}")));
        }
        outcome
    }

    fn panicked(&self, _: &Box<dyn Any + Send>) -> Wrong {
        Wrong(format!("panic: {}", locked(&self.panic)))
    }
}

/// Ends the program when a case does not come back; nothing else could.
fn watch(current: &Weak<Mutex<Current>>) {
    while let Some(current) = current.upgrade() {
        let stuck = match &*locked(&current) {
            Some((name, begun)) if begun.elapsed() > LAST_PATIENCE => Some(name.clone()),
            _ => None,
        };
        if let Some(name) = stuck {
            println!("FAILED {name}: hang: it does not come back\n       replay: --replay {name}");
            std::process::abort();
        }
        drop(current);
        thread::sleep(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_wrong_and_says_where_it_was() {
        let watch = Watch::start();
        let outcome: Result<(), Wrong> = watch.run("case", || panic!("it broke"));
        let Err(Wrong(what)) = outcome else { unreachable!("it panicked") };
        assert!(what.starts_with("panic") && what.contains("it broke"), "{what}");
        assert!(what.contains("watch.rs"), "{what}");
        assert!(watch.run("case", || Ok(())).is_ok());
    }
}
