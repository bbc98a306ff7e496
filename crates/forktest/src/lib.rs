//! Real forks for tests: run something in a child that has all of this process's memory and files.
#![cfg(unix)]

use rustix::process::{Pid, WaitOptions, waitpid};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A forked child that runs, or has run, an action.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    verdict: io::PipeReader,
}

/// Forks and runs `action` in the child, which then ends without unwinding or flushing anything of
/// the parent's.
///
/// The child has one thread. Whatever lock another thread of the parent holds at this moment stays
/// held in the child for ever, so nothing else should run beside it.
///
/// # Panics
/// If the system has no process or no pipe left.
pub fn fork(action: impl FnOnce()) -> Child {
    let (verdict, mut told) = io::pipe().expect("a pipe");
    // SAFETY: the child runs only `action` and `_exit`. The callers keep other threads out of the
    // locks that `action` takes; the allocator's are put right by the C library's fork handlers.
    let forked = unsafe { libc::fork() };
    match Pid::from_raw(forked) {
        None => {
            let outcome = catch_unwind(AssertUnwindSafe(action));
            let text = outcome.err().map(|panic| text_of(&*panic)).unwrap_or_default();
            let _ = told.write_all(text.as_bytes());
            // SAFETY: ends the process without running anything of the parent's on the way.
            unsafe { libc::_exit(0) }
        }
        Some(pid) => {
            assert!(forked > 0, "{}", io::Error::last_os_error());
            Child { pid, verdict }
        }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without text").to_owned()
}

impl Child {
    /// Waits for the end of the child.
    ///
    /// # Panics
    /// If its action panicked, with what it said, or if it was killed.
    #[track_caller]
    pub fn join(mut self) {
        let mut text = String::new();
        self.verdict.read_to_string(&mut text).expect("the pipe can be read");
        let ended = waitpid(Some(self.pid), WaitOptions::empty()).expect("the child is ours");
        let (_, status) = ended.expect("it was waited for");
        assert!(text.is_empty(), "in the child: {text}");
        assert_eq!(status.exit_status(), Some(0), "the child ended with {status:?}");
    }
}

/// Closes standard input, output and error, so that the next files opened get their numbers.
pub fn close_standard_streams() {
    for descriptor in 0..3 {
        // SAFETY: std looks its standard streams up by number at every use and copes with a number
        // that is closed; nothing else in a test's child owns one of the three.
        unsafe { libc::close(descriptor) };
    }
}
