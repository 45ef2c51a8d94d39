//! What is asked of an engine, in order.

use tokio::sync::mpsc;

use crate::core::effect::Order;

/// Asks an engine with these options; its work goes on until this is dropped and all is done.
pub(crate) struct Requests<Options>(mpsc::UnboundedSender<Request<Options>>);

/// What an engine is asked for.
pub(crate) enum Request<Options> {
    Order(Order),
    Configure(Options),
}

impl<Options> Requests<Options> {
    /// Both ends.
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<Request<Options>>) {
        // Unbounded because the loop may not wait; each order answers an event of a bounded queue.
        let (requests_in, requests) = mpsc::unbounded_channel();
        (Requests(requests_in), requests)
    }

    /// Has an order carried out. Those about calls of another engine are nothing to it.
    pub(crate) fn order(&self, order: Order) {
        self.ask(Request::Order(order));
    }

    /// Has later dials go by these options.
    pub(crate) fn configure(&self, options: Options) {
        self.ask(Request::Configure(options));
    }

    /// The engine's work ends before this only when that fails, which ends the daemon.
    fn ask(&self, request: Request<Options>) {
        let _ = self.0.send(request);
    }
}
