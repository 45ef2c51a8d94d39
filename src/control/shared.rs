//! An answer that costs much is made once for all who ask meanwhile.

use tokio::sync::{mpsc, oneshot};

/// Who may wait to be taken on.
const QUEUE: usize = 256;
/// The most who get one answer.
const AT_ONCE: usize = 1024;

/// Makes one answer at a time. Whoever asks while one is made gets the next one, so that nobody is
/// told what was before the question.
#[derive(Clone, Debug)]
pub(super) struct Shared<T>(mpsc::Sender<oneshot::Sender<T>>);

impl<T: Clone + Send + 'static> Shared<T> {
    /// Makes answers by `make` as long as somebody can ask.
    pub(super) fn new<F>(mut make: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = T> + Send,
    {
        let (asks_in, mut asks) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut waiting: Vec<oneshot::Sender<T>> = Vec::new();
            while asks.recv_many(&mut waiting, AT_ONCE).await > 0 {
                let answer = make().await;
                for who in waiting.drain(..) {
                    // Whoever asked may have gone away.
                    let _ = who.send(answer.clone());
                }
            }
        });
        Shared(asks_in)
    }

    /// An answer that is made from now on; none once the runtime ends.
    pub(super) async fn ask(&self) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn all_who_ask_while_an_answer_is_made_share_the_next_one() {
        let (made, turns) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let (count, turn) = (made.clone(), turns.clone());
        let shared = Shared::new(move || {
            let (count, turn) = (count.clone(), turn.clone());
            async move {
                let _ = turn.acquire().await.map(|permit| permit.forget());
                count.fetch_add(1, Ordering::Relaxed) + 1
            }
        });
        let asker = shared.clone();
        let first = tokio::spawn(async move { asker.ask().await });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let others = join_all((0..100).map(|_| shared.ask()));
        let (others, ()) = tokio::join!(others, async {
            tokio::task::yield_now().await;
            turns.add_permits(2);
        });
        assert_eq!(first.await.unwrap(), Some(1));
        assert!(others.iter().all(|answer| *answer == Some(2)), "{others:?}");
    }
}
