//! Rules and routes in the kernel (rtnetlink(7), linux/fib_rules.h, linux/rtnetlink.h).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{Error, Handle, IpVersion, RouteMessageBuilder};
use rustix::io::Errno;
use tokio::time::timeout;

use super::plan::{Plan, Route, Rule, Selector, To};
use crate::core::event::IfIndex;
use crate::netlink::{self, ALLOW_NETLINK};
use crate::os_answer::with_remedy;

/// Marks rules and routes as ours; not given to anybody in iproute2's rt_protos.
pub(super) const OURS: u8 = 201;

/// The metric of a route that stands behind every other one of its table.
const LAST: u32 = u32::MAX;

/// For one look. The kernel answers at once; thousands of tunnels take some seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Why rules and routes are not as wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoutingError {
    /// No socket.
    #[error("Routes of tunnels: can't open a netlink socket: {}", with_remedy(.0, ALLOW_NETLINK))]
    Socket(#[source] std::io::Error),
    /// Another default route is in a table of ours.
    #[error(
        "Routes of tunnels: table {0} has a default route of somebody else; remove it, or set \
         another routing.table_base"
    )]
    Taken(u32),
    /// The kernel owes an answer.
    #[error("Routes of tunnels: the kernel did not answer within {} s; it is asked again", LIMIT.as_secs())]
    Silent,
    /// The tunnel is not there any more as it was.
    #[error(
        "Routes of tunnels: can't put a route into table {0}: the link of its tunnel is gone, down or \
         without its address; it is tried again"
    )]
    NoTunnel(u32),
    /// The kernel does not let the daemon.
    #[error("Routes of tunnels: can't {what}: {source}; connexad needs CAP_NET_ADMIN")]
    Forbidden {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: Error,
    },
    /// The kernel refused.
    #[error("Routes of tunnels: can't {what}: {source}; it is tried again")]
    Refused {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: Error,
    },
}

pub(super) fn refused(what: impl Into<String>) -> impl FnOnce(Error) -> RoutingError {
    move |source| {
        let what = what.into();
        if is_one_of(&source, &[Errno::PERM, Errno::ACCESS]) {
            RoutingError::Forbidden { what, source }
        } else {
            RoutingError::Refused { what, source }
        }
    }
}

/// What a link answers that is gone, has lost the address that a route is to name, or is down.
const NO_TUNNEL: [Errno; 5] =
    [Errno::NODEV, Errno::INVAL, Errno::NETDOWN, Errno::NETUNREACH, Errno::ADDRNOTAVAIL];

fn not_added(route: &Route) -> impl FnOnce(Error) -> RoutingError {
    let table = route.table;
    let is_by_a_link = matches!(route.to, To::Link { .. });
    move |error| match () {
        () if is_one_of(&error, &[Errno::EXIST]) => RoutingError::Taken(table),
        () if is_by_a_link && is_one_of(&error, &NO_TUNNEL) => RoutingError::NoTunnel(table),
        () => refused(format!("put a route into table {table}"))(error),
    }
}

/// Makes the kernel's rules and routes those of the plan, by a socket of its own. Returns what could
/// not be done of it.
///
/// # Errors
/// When the kernel's rules and routes can't be known.
pub(super) async fn reconcile(plan: &Plan) -> Result<Vec<RoutingError>, RoutingError> {
    let (handle, _serving) = netlink::connect_strict().map_err(RoutingError::Socket)?;
    timeout(LIMIT, carry_out(&handle, plan)).await.unwrap_or(Err(RoutingError::Silent))
}

/// Adds what is wanted and not there, and removes what is ours and not wanted. Does all it can;
/// the failures are returned. A list that is torn by a change is no harm: the change is heard, and
/// the next look mends what this one got wrong.
async fn carry_out(handle: &Handle, plan: &Plan) -> Result<Vec<RoutingError>, RoutingError> {
    let (rules, routes) = (rules(handle).await?, routes(handle).await?);
    let mut failures = Vec::new();
    // First what is wanted: where a rule changes its table, there is no moment without one.
    for route in plan.routes.difference(&routes) {
        let added = handle.route().add(route_message(route)).execute().await;
        failures.extend(added.map_err(not_added(route)).err());
    }
    for rule in plan.rules.difference(&rules) {
        let mut request = handle.rule().add();
        *request.message_mut() = rule_message(rule);
        let added = but(request.execute().await, &[Errno::EXIST, Errno::AFNOSUPPORT]);
        failures.extend(added.map_err(refused(format!("add the rule {rule}"))).err());
    }
    for rule in rules.difference(&plan.rules).filter(|rule| !plan.keeps_rule(rule)) {
        let removed = handle.rule().del(rule_message(rule)).execute().await;
        let removed = but(removed, &[Errno::NOENT, Errno::SRCH]);
        failures.extend(removed.map_err(refused(format!("remove the rule {rule}"))).err());
    }
    for route in routes.difference(&plan.routes).filter(|route| !plan.keeps_route(route)) {
        let removed = handle.route().del(route_message(route)).execute().await;
        let removed = but(removed, &[Errno::NOENT, Errno::SRCH, Errno::NODEV]);
        failures.extend(removed.map_err(refused(format!("empty table {}", route.table))).err());
    }
    Ok(failures)
}

/// These answers are as good as success.
pub(super) fn but(result: Result<(), Error>, fine: &[Errno]) -> Result<(), Error> {
    match result {
        Err(error) if is_one_of(&error, fine) => Ok(()),
        other => other,
    }
}

/// Whether the kernel answered with one of these.
pub(crate) fn is_one_of(error: &Error, answers: &[Errno]) -> bool {
    code(error).is_some_and(|code| answers.iter().any(|answer| answer.raw_os_error() == code))
}

/// The kernel's error number.
fn code(error: &Error) -> Option<i32> {
    let Error::NetlinkError(message) = error else { return None };
    Some(message.raw_code().saturating_abs())
}

/// Those of ours. A kernel without IPv6 has none for it.
async fn rules(handle: &Handle) -> Result<BTreeSet<Rule>, RoutingError> {
    let mut rules = BTreeSet::new();
    for version in [IpVersion::V4, IpVersion::V6] {
        let list: Result<Vec<RuleMessage>, Error> =
            handle.rule().get(version).execute().try_collect().await;
        match list {
            Err(error) if is_one_of(&error, &[Errno::AFNOSUPPORT, Errno::OPNOTSUPP]) => {}
            list => rules.extend(list.map_err(refused("list rules"))?.iter().filter_map(our_rule)),
        }
    }
    Ok(rules)
}

/// The priorities of rules of others by which packets with a mark of ours may go before they come to
/// ours. The kernel's own, of the table `local`, is none of them.
///
/// # Errors
/// When the kernel's rules can't be known.
pub(crate) async fn rules_before_ours() -> Result<Vec<u32>, RoutingError> {
    let (handle, _serving) = netlink::connect().map_err(RoutingError::Socket)?;
    let list = handle.rule().get(IpVersion::V4).execute().try_collect::<Vec<RuleMessage>>();
    let list = timeout(LIMIT, list).await.map_err(|_| RoutingError::Silent)?;
    let list = list.map_err(refused("list rules"))?;
    Ok(list.iter().filter_map(before_ours).collect())
}

/// The tables that rules and routes of ours lead to or stand in, whoever has left them.
///
/// # Errors
/// When the kernel's rules and routes can't be known.
pub(crate) async fn tables_of_ours() -> Result<BTreeSet<u32>, RoutingError> {
    let (handle, _serving) = netlink::connect().map_err(RoutingError::Socket)?;
    let lists = async { Ok((rules(&handle).await?, routes(&handle).await?)) };
    let (rules, routes) = timeout(LIMIT, lists).await.map_err(|_| RoutingError::Silent)??;
    let of_rule = |rule: Rule| match rule {
        Rule::Table { table, .. } => table,
        Rule::NoIpv6 { mark } => mark,
    };
    let of_routes = routes.into_iter().map(|route| route.table);
    Ok(rules.into_iter().map(of_rule).chain(of_routes).collect())
}

fn before_ours(message: &RuleMessage) -> Option<u32> {
    let priority = message.attributes.iter().find_map(|attribute| {
        let RuleAttribute::Priority(priority) = attribute else { return None };
        Some(*priority)
    });
    let ours = message.attributes.iter().any(is_of_ours);
    // Without a priority it is the kernel's first.
    priority.filter(|&priority| !ours && priority > 0 && priority <= Selector::Mark(0).priority())
}

async fn routes(handle: &Handle) -> Result<BTreeSet<Route>, RoutingError> {
    let mut filter = RouteMessage::default();
    filter.header.address_family = AddressFamily::Inet;
    filter.header.protocol = RouteProtocol::Other(OURS);
    let list: Vec<RouteMessage> =
        handle.route().get(filter).execute().try_collect().await.map_err(refused("list routes"))?;
    Ok(list.iter().filter_map(our_route).collect())
}

pub(super) fn is_ours(protocol: RouteProtocol) -> bool {
    u8::from(protocol) == OURS
}

/// Whether it marks a rule as ours.
pub(super) fn is_of_ours(attribute: &RuleAttribute) -> bool {
    matches!(attribute, RuleAttribute::Protocol(protocol) if is_ours(*protocol))
}

/// A rule of the form that we make.
fn our_rule(message: &RuleMessage) -> Option<Rule> {
    let mut table = u32::from(message.header.table);
    let (mut priority, mut selector, mut ours) = (None, None, false);
    for attribute in &message.attributes {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match attribute {
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Priority(number) => priority = Some(*number),
            RuleAttribute::Protocol(protocol) => ours = is_ours(*protocol),
            RuleAttribute::Oifname(name) => selector = Some(Selector::Interface(name.clone())),
            RuleAttribute::FwMark(mark) => selector = Some(Selector::Mark(*mark)),
            RuleAttribute::Source(IpAddr::V4(ip)) if message.header.src_len == 32 => {
                selector = Some(Selector::Source(*ip));
            }
            _ => {}
        }
    }
    let selector = selector.filter(|selector| ours && priority == Some(selector.priority()))?;
    match (message.header.family, message.header.action, selector) {
        (AddressFamily::Inet, RuleAction::ToTable, selector) => {
            Some(Rule::Table { selector, table })
        }
        (AddressFamily::Inet6, RuleAction::Unreachable, Selector::Mark(mark)) => {
            Some(Rule::NoIpv6 { mark })
        }
        _ => None,
    }
}

fn our_route(message: &RouteMessage) -> Option<Route> {
    let (mut index, mut source, mut priority) = (None, Ipv4Addr::UNSPECIFIED, 0);
    for attribute in &message.attributes {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match attribute {
            RouteAttribute::Oif(number) => index = Some(IfIndex(*number)),
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => source = *ip,
            RouteAttribute::Priority(number) => priority = *number,
            _ => {}
        }
    }
    let to = match (message.header.kind, index) {
        (RouteType::Unreachable, None) if priority == LAST => To::Nowhere,
        (RouteType::Unicast, Some(index)) => To::Link { index, source },
        _ => return None,
    };
    let ours = is_ours(message.header.protocol) && message.header.destination_prefix_length == 0;
    ours.then_some(Route { table: table_of(message), to })
}

/// The table's number; beyond 255 it stands in an attribute.
pub(super) fn table_of(message: &RouteMessage) -> u32 {
    let long = message.attributes.iter().find_map(|attribute| {
        let RouteAttribute::Table(table) = attribute else { return None };
        Some(*table)
    });
    long.unwrap_or(u32::from(message.header.table))
}

fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(OURS)));
    let selector = match rule {
        Rule::Table { selector, table } => {
            message.header.family = AddressFamily::Inet;
            message.header.action = RuleAction::ToTable;
            message.attributes.push(RuleAttribute::Table(*table));
            selector
        }
        Rule::NoIpv6 { mark } => {
            message.header.family = AddressFamily::Inet6;
            message.header.action = RuleAction::Unreachable;
            &Selector::Mark(*mark)
        }
    };
    message.attributes.push(RuleAttribute::Priority(selector.priority()));
    match selector {
        Selector::Interface(name) => message.attributes.push(RuleAttribute::Oifname(name.clone())),
        Selector::Mark(mark) => {
            let mask = RuleAttribute::FwMask(u32::MAX);
            message.attributes.extend([RuleAttribute::FwMark(*mark), mask]);
        }
        Selector::Source(ip) => {
            message.header.src_len = 32;
            message.attributes.push(RuleAttribute::Source((*ip).into()));
        }
    }
    message
}

fn route_message(route: &Route) -> RouteMessage {
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .table_id(route.table)
        .protocol(RouteProtocol::Other(OURS));
    match route.to {
        To::Link { index, source } => {
            message.output_interface(index.0).pref_source(source).scope(RouteScope::Link).build()
        }
        To::Nowhere => message.kind(RouteType::Unreachable).priority(LAST).build(),
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rule::Table { selector, table } => write!(f, "{selector} lookup {table}"),
            Rule::NoIpv6 { mark } => write!(f, "{} unreachable (IPv6)", Selector::Mark(*mark)),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Selector::Interface(name) => write!(f, "oif {name}"),
            Selector::Mark(mark) => write!(f, "fwmark {mark}"),
            Selector::Source(ip) => write!(f, "from {ip}"),
        }
    }
}
