//! Signals become a cancellation token.

use std::io;

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT (Ctrl-C elsewhere). A second signal
/// ends the process at once, for people who lose patience.
///
/// # Errors
/// When the operating system refuses a signal handler.
///
/// # Panics
/// Outside a tokio runtime.
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    let mut signals = Signals::new()?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    // Owned by the process: it lives as long as the runtime does.
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "shutting down");
        cancel.cancel();
        let name = signals.next().await;
        tracing::warn!(signal = name, "ending without waiting");
        std::process::exit(EXIT_IMPATIENT);
    });
    Ok(token)
}

/// Cancels `token` when standard input closes, so that a process does not outlive whoever holds the
/// other end, however that ended.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn cancel_with_stdin(token: CancellationToken) -> io::Result<()> {
    // The thread has no other end than the process: reading cannot be interrupted.
    let watch = move || {
        // Closed or broken: whoever held the other end is gone.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        token.cancel();
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(watch).map(drop)
}

/// 128 + SIGINT, as shells report it.
const EXIT_IMPATIENT: i32 = 130;

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) -> &'static str {
        // Both branches are cancel-safe: a signal stays pending until it is received.
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
