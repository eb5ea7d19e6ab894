//! Work that waits for files or a resolver, on threads of its own.

use std::panic::resume_unwind;

/// Runs `work` where it may block. A panic in it goes on in whoever waits here: nothing stops in
/// silence. Dropping the future does not end the work.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only a runtime that ends cancels it, and that ends whoever waits too.
            Err(_) => std::future::pending().await,
        },
    }
}
