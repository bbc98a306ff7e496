//! Ends a rig that hangs: real threads and processes have no budget of calls.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// No step of any rig takes this long, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Aborts the process if nobody feeds it for five minutes.
pub(crate) struct Watchdog(Sender<()>);

impl Watchdog {
    /// Watches until it is dropped; `replay` is printed by the end that it puts to a hang.
    pub(crate) fn watch(replay: String) -> Self {
        let (feed, fed) = channel();
        thread::spawn(move || {
            loop {
                match fed.recv_timeout(PATIENCE) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        println!(
                            "FAILED hang: nothing happened for {PATIENCE:?}; replay: {replay}"
                        );
                        std::process::abort();
                    }
                }
            }
        });
        Self(feed)
    }

    /// Something happened.
    pub(crate) fn feed(&self) {
        // The thread ends only after this handle, or with the process.
        let _ = self.0.send(());
    }
}
