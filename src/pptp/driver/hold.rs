//! A call over a connected control connection: what happens goes in, what it orders is done.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

use super::blocking::Threads;
use super::control;
use super::data::{Data, Fault};
use super::dial::{Clock, Reins, Wish, dice, failure, hung_up, wished};
use super::end::{Read, readable};
use super::found::Whole;
use super::keeping::Tunnel;
use super::options::Options;
use super::state::{Made, State};
use crate::core::event::{Event as Told, IfIndex};
use crate::core::failure::{Failure, FailureKind};
use crate::pptp::{Call, Dice, Ending, Event, KernelOrder, Order, Phase, Settings, Step};
use crate::printable::printable;

/// More than any frame has: what a server sends beyond our MRU is judged, not cut.
const FRAME: usize = 4096;
/// How long a server may leave our control messages unread.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// How it went.
pub(super) enum Over {
    /// It has ended.
    Ended(Failure),
    /// The server gave it an id by which another call goes to it: another dial gets another one.
    IdTaken,
}

/// A call and all that it has.
pub(super) struct Held<'a> {
    reins: &'a mut Reins,
    made: Made,
    clock: Clock,
    call: Call,
    /// `None` once it has ended.
    control: Option<Arc<TcpStream>>,
    data: Data,
    orders: VecDeque<Order>,
    /// Why the kernel refused, the first time.
    fault: Option<Fault>,
    wish: Wish,
    phase: Phase,
    received: u64,
    /// An earlier daemon has dialled it: the row tells its password, once that is read.
    lacks_password: bool,
}

enum Wake {
    Wish,
    Control { is_closed: bool },
    Channel,
    Unit,
    Echo,
    Deadline,
}

impl<'a> Held<'a> {
    /// A call that begins.
    pub(super) fn dialled(
        reins: &'a mut Reins,
        made: Made,
        control: TcpStream,
        data: Data,
        settings: Settings,
        dice: Dice,
    ) -> Self {
        let clock = Clock::start();
        let begun = Call::new(settings, dice, clock.now());
        Held::new(reins, made, control, data, clock, begun)
    }

    /// A call of an earlier daemon.
    ///
    /// # Errors
    /// When this process can't have what the call has.
    pub(super) fn taken_over(
        reins: &'a mut Reins,
        options: &Options,
        threads: Threads,
        whole: Whole,
    ) -> Result<Self, Failure> {
        let Whole { state: State { made, standing, .. }, control, parts } = whole;
        let control = TcpStream::from_std(control).map_err(|error| {
            let message = format!("its control connection can't be taken over: {error}");
            Failure::new(FailureKind::Unexplained, message)
        })?;
        let ways = options.ways(made.server);
        let data = Data::taken_over(threads, ways, made.own_call_id, parts);
        let data = data.map_err(|fault| failure(&fault))?;
        let clock = Clock::start();
        let gone_on = Call::resume(options.settings(&made), standing, dice()?, clock.now());
        let held = Held::new(reins, made, control, data, clock, gone_on);
        Ok(Held { lacks_password: true, ..held })
    }

    fn new(
        reins: &'a mut Reins,
        made: Made,
        control: TcpStream,
        data: Data,
        clock: Clock,
        (call, orders): (Call, Vec<Order>),
    ) -> Self {
        Held {
            reins,
            made,
            clock,
            call,
            control: Some(Arc::new(control)),
            data,
            orders: orders.into(),
            fault: None,
            wish: Wish::GoOn,
            phase: Phase::Control,
            received: 0,
            lacks_password: false,
        }
    }

    /// Until it is over and all of it closed.
    pub(super) async fn run(mut self) -> Over {
        let ending = self.until_over().await;
        let fault = self.fault.take();
        let over = match (ending, fault) {
            (None | Some(Ending::HungUp), _) => Over::Ended(hung_up()),
            (Some(Ending::Failed(_)), Some(Fault::IdTaken(_))) => Over::IdTaken,
            (Some(Ending::Failed(_)), Some(fault)) => Over::Ended(failure(&fault)),
            (Some(Ending::Failed(cause)), None) => Over::Ended(Failure::new(
                cause.kind(),
                // Some of it are the server's words.
                printable(&cause.to_string()),
            )),
        };
        // Before the link goes: then its fall is told with its cause.
        if let Over::Ended(cause) = &over
            && cause.kind != FailureKind::Killed
        {
            let (call, cause) = (self.reins.call, cause.clone());
            self.reins.tell(Told::Failing { call, cause, vague: false }).await;
        }
        // As long as the holder has them, closing them ends nothing.
        self.reins.keeping.let_go(self.reins.call).await;
        drop(self.control);
        self.data.close().await;
        over
    }

    /// How the call says it has ended; nothing when it was ended at once.
    async fn until_over(&mut self) -> Option<Ending> {
        loop {
            while let Some(order) = self.orders.pop_front() {
                if let Some(ending) = self.carry_out(order).await {
                    return Some(ending);
                }
            }
            self.follow_phase();
            match self.wake().await {
                Wake::Wish => {
                    let wish = *self.reins.wish.borrow();
                    if wish == Wish::End {
                        return None;
                    }
                    self.wish = wish;
                    self.tell(Event::HangUp);
                }
                Wake::Control { is_closed } => self.read_control(is_closed),
                Wake::Channel => self.read_channel(),
                Wake::Unit => self.read_unit(),
                Wake::Echo => self.echo(),
                Wake::Deadline => self.tell(Event::Deadline),
            }
            // A server that sends without an end would keep all others waiting.
            tokio::task::yield_now().await;
        }
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.call.next_deadline().map(|at| self.clock.instant(at));
        let is_up = self.call.phase() == Phase::Up;
        let Reins { wish, carried, .. } = &mut *self.reins;
        tokio::select! {
            biased;
            () = wished(wish, self.wish) => Wake::Wish,
            is_closed = control::heard(self.control.as_deref()) => Wake::Control { is_closed },
            () = readable(self.data.channel.as_ref()) => Wake::Channel,
            () = readable(self.data.unit.as_ref()) => Wake::Unit,
            Ok(()) = carried.changed(), if is_up => Wake::Echo,
            () = sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now)), if deadline.is_some() => Wake::Deadline,
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        let orders = self.call.handle(event, self.clock.now());
        self.orders.extend(orders);
    }

    fn read_control(&mut self, is_closed: bool) {
        let mut chunk = [0; control::CHUNK];
        let Some(stream) = &self.control else { return };
        match control::read_whole(stream, &mut chunk, is_closed) {
            Ok(0) => self.lose_control(None),
            Ok(length) => self.tell(Event::Control(chunk.get(..length).unwrap_or_default())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.lose_control(Some(&error.to_string())),
        }
    }

    fn lose_control(&mut self, words: Option<&str>) {
        self.control = None;
        self.tell(Event::ControlEnded(words));
    }

    fn read_channel(&mut self) {
        if self.lacks_password {
            self.learn_password();
        }
        let mut frame = [0; FRAME];
        let read = self.data.channel.as_mut().map(|channel| channel.read(&mut frame));
        self.take_frame(read, &frame, "the channel of the call");
    }

    fn read_unit(&mut self) {
        let mut frame = [0; FRAME];
        let read = self.data.unit.as_mut().map(|unit| unit.read(&mut frame));
        self.take_frame(read, &frame, "the interface");
    }

    fn take_frame(&mut self, read: Option<Read>, frame: &[u8], what: &str) {
        match read {
            Some(Read::Frame(length)) => {
                self.tell(Event::Frame(frame.get(..length).unwrap_or_default()));
            }
            Some(Read::Ended(words)) => self.tell(Event::DataEnded(&format!("{what}: {words}"))),
            Some(Read::Nothing) | None => {}
        }
    }

    fn echo(&mut self) {
        let index = self.data.link().map(|link| link.index);
        let carried = self.reins.carried.borrow_and_update();
        // A link that could not be asked about has received nothing, as far as is known.
        let bytes = index.and_then(|index| Some(carried.get(&IfIndex(index))?.in_bytes));
        drop(carried);
        self.received = bytes.unwrap_or(self.received);
        self.tell(Event::EchoTick { received: self.received });
    }

    /// The ending, where the order is that.
    async fn carry_out(&mut self, order: Order) -> Option<Ending> {
        match order {
            Order::Control(bytes) => self.write_control(&bytes).await,
            Order::Frame(via, frame) => self.data.write(via, &frame),
            Order::Kernel(order) => self.ask_kernel(order).await,
            Order::Ended(ending) => return Some(ending),
        }
        None
    }

    async fn write_control(&mut self, bytes: &[u8]) {
        let Some(stream) = &self.control else { return };
        match timeout(WRITTEN_WITHIN, control::write(stream, bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lose_control(Some(&error.to_string())),
            Err(_) => self.lose_control(Some("the server reads no control messages")),
        }
    }

    async fn ask_kernel(&mut self, order: KernelOrder) {
        let step = order.step();
        match self.data.carry_out(order).await {
            Ok(()) => {
                if step == Step::MakeUnit {
                    self.tell_link().await;
                }
                self.tell(Event::Done(step));
            }
            Err(fault) => {
                self.orders.clear();
                self.tell(Event::Failed(step, &fault.to_string()));
                self.fault.get_or_insert(fault);
            }
        }
    }

    async fn tell_link(&self) {
        if let Some(link) = self.data.link() {
            let (call, name) = (self.reins.call, link.name.clone());
            self.reins.tell(Told::Link { call, name }).await;
        }
    }

    fn follow_phase(&mut self) {
        let phase = self.call.phase();
        if std::mem::replace(&mut self.phase, phase) == phase {
            return;
        }
        let node = self.reins.node;
        tracing::debug!(NODE_ID = node.0, "pptp[{node}]: {phase:?}");
        if phase == Phase::Up {
            self.hand_over();
        }
    }

    /// From here on it may outlive the daemon.
    fn hand_over(&self) {
        let (Some(standing), Some(link), Some((socket, unit)), Some(control)) =
            (self.call.standing(), self.data.link(), self.data.descriptors(), &self.control)
        else {
            return;
        };
        let state = State::new(self.made.clone(), link.index, link.unit, standing).bytes();
        let control = control.clone();
        let tunnel = Tunnel { number: link.index, state, control, socket, unit };
        self.reins.keeping.keep(self.reins.call, tunnel);
    }

    /// What the row says, where it is the one that the call was made by.
    fn learn_password(&mut self) {
        let nodes = self.reins.nodes.borrow();
        let Some(node) = nodes.get(&self.reins.node) else { return };
        if node.server.ip() == self.made.server && node.login.as_str() == self.made.login {
            self.call.know(node.password.clone());
            self.lacks_password = false;
        }
    }
}
