//! Writes small things that many sessions bring, many of them in one transaction: 2,000 agents that come
//! back together are a few commits, not 2,000.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What is written in one transaction, which others that write wait for.
const MAX_TOGETHER: usize = 512;

/// Something to be written, and who wants to know what became of it.
#[derive(Debug)]
pub(crate) struct Waiting<T, R> {
    pub(crate) item: T,
    /// Told when it is written; dropped when it cannot be.
    pub(crate) done: oneshot::Sender<R>,
}

/// Writes what comes until `shutdown`, by `write`, which may block and gives an answer for each item. What it
/// cannot write is logged as `what`, and forgotten.
pub(crate) async fn write_together<T, R, E>(
    what: &'static str,
    mut items: mpsc::Receiver<Waiting<T, R>>,
    write: impl Fn(&[T]) -> Result<Vec<R>, E> + Send + Sync + 'static,
    shutdown: CancellationToken,
) where
    T: Send + 'static,
    R: Send + 'static,
    E: Error + Send + 'static,
{
    let write = Arc::new(write);
    loop {
        let mut together = Vec::new();
        // Both branches are cancel-safe.
        let came = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            came = items.recv_many(&mut together, MAX_TOGETHER) => came,
        };
        if came == 0 {
            return;
        }
        let (items, waiting): (Vec<T>, Vec<_>) =
            together.into_iter().map(|one| (one.item, one.done)).unzip();
        let write = Arc::clone(&write);
        match tokio::task::spawn_blocking(move || write(&items)).await {
            Ok(Ok(answers)) => {
                for (done, answer) in waiting.into_iter().zip(answers) {
                    // A session that ended meanwhile does not want to know.
                    let _ = done.send(answer);
                }
            }
            Ok(Err(error)) => tracing::warn!(what, came, %error, "not written"),
            Err(error) => tracing::error!(what, %error, "writing ended early"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_written_together_and_each_hears_its_own_answer() {
        let (send, items) = mpsc::channel(2_000);
        let mut answers = Vec::new();
        for item in 0..1_200_u32 {
            let (done, answer) = oneshot::channel();
            send.try_send(Waiting { item, done }).unwrap();
            answers.push(answer);
        }
        drop(send);
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sizes);
        let write = move |items: &[u32]| {
            let mut sizes = noted.lock().unwrap();
            sizes.push(items.len());
            // The second transaction fails.
            match sizes.len() {
                2 => Err(io::Error::other("the disk is full")),
                _ => Ok(items.iter().map(|item| item * 2).collect()),
            }
        };
        write_together("numbers", items, write, CancellationToken::new()).await;
        assert_eq!(*sizes.lock().unwrap(), [512, 512, 176]);
        for (item, answer) in (0_u32..).zip(answers) {
            let expected = (!(512..1_024).contains(&item)).then_some(item * 2);
            assert_eq!(answer.await.ok(), expected, "{item}");
        }
    }
}
