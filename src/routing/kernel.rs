//! Rules and routes in the kernel (rtnetlink(7), linux/fib_rules.h, linux/rtnetlink.h).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_sys::AsyncSocket;
use rtnetlink::{Error, Handle, IpVersion, RouteMessageBuilder};
use rustix::io::Errno;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::plan::{Plan, Route, Rule, Selector};
use crate::core::event::IfIndex;

/// Marks rules and routes as ours; not given to anybody in iproute2's rt_protos.
const OURS: u8 = 201;

/// For one look. The kernel answers at once; thousands of tunnels take some seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Why rules and routes are not as wanted.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoutingError {
    /// No socket.
    #[error("Routes of tunnels: can't open a netlink socket: {0}; allow AF_NETLINK in the unit")]
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
    /// The kernel refused.
    #[error("Routes of tunnels: can't {what}: {source}; connexad needs CAP_NET_ADMIN")]
    Refused {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: Error,
    },
}

fn refused(what: impl Into<String>) -> impl FnOnce(Error) -> RoutingError {
    move |source| RoutingError::Refused { what: what.into(), source }
}

/// Makes the kernel's rules and routes those of the plan, by a socket of its own. Returns what could
/// not be done of it.
///
/// # Errors
/// When the kernel's rules and routes can't be known.
pub(super) async fn reconcile(plan: &Plan) -> Result<Vec<RoutingError>, RoutingError> {
    // Nothing is heard by it that was not asked for.
    let (mut connection, handle, _) = rtnetlink::new_connection().map_err(RoutingError::Socket)?;
    // Lets the kernel pick our routes out of its list; older ones list all, which is as good.
    let _ = connection.socket_mut().socket_mut().set_netlink_get_strict_chk(true);
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    timeout(LIMIT, carry_out(&handle, plan)).await.unwrap_or(Err(RoutingError::Silent))
}

/// Removes what is ours and not wanted, and adds what is wanted and not there. Does all it can;
/// the failures are returned. A list that is torn by a change is no harm: the change is heard, and
/// the next look mends what this one got wrong.
async fn carry_out(handle: &Handle, plan: &Plan) -> Result<Vec<RoutingError>, RoutingError> {
    let (rules, routes) = (rules(handle).await?, routes(handle).await?);
    let mut failures = Vec::new();
    for rule in rules.difference(&plan.rules) {
        let removed = handle.rule().del(rule_message(rule)).execute().await;
        let removed = but(removed, &[Errno::NOENT, Errno::SRCH]);
        failures.extend(removed.map_err(refused(format!("remove the rule {rule}"))).err());
    }
    for route in routes.difference(&plan.routes) {
        let removed = handle.route().del(route_message(route)).execute().await;
        let removed = but(removed, &[Errno::NOENT, Errno::SRCH, Errno::NODEV]);
        failures.extend(removed.map_err(refused(format!("empty table {}", route.table))).err());
    }
    for route in plan.routes.difference(&routes) {
        let added = handle.route().add(route_message(route)).execute().await;
        let added = added.map_err(|error| match code(&error) {
            Some(code) if code == Errno::EXIST.raw_os_error() => RoutingError::Taken(route.table),
            Some(_) | None => refused(format!("put a route into table {}", route.table))(error),
        });
        failures.extend(added.err());
    }
    for rule in plan.rules.difference(&rules) {
        let mut request = handle.rule().add();
        *request.message_mut() = rule_message(rule);
        let added = but(request.execute().await, &[Errno::EXIST]);
        failures.extend(added.map_err(refused(format!("add the rule {rule}"))).err());
    }
    Ok(failures)
}

/// These answers are as good as success.
fn but(result: Result<(), Error>, fine: &[Errno]) -> Result<(), Error> {
    match result {
        Err(error) if is_one_of(&error, fine) => Ok(()),
        other => other,
    }
}

/// Whether the kernel answered with one of these.
pub(super) fn is_one_of(error: &Error, answers: &[Errno]) -> bool {
    code(error).is_some_and(|code| answers.iter().any(|answer| answer.raw_os_error() == code))
}

/// The kernel's error number.
fn code(error: &Error) -> Option<i32> {
    let Error::NetlinkError(message) = error else { return None };
    Some(message.raw_code().saturating_abs())
}

async fn rules(handle: &Handle) -> Result<BTreeSet<Rule>, RoutingError> {
    let list: Vec<RuleMessage> = handle
        .rule()
        .get(IpVersion::V4)
        .execute()
        .try_collect()
        .await
        .map_err(refused("list rules"))?;
    Ok(list.iter().filter_map(our_rule).collect())
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
    Some(Rule { selector, table })
}

fn our_route(message: &RouteMessage) -> Option<Route> {
    let (mut index, mut source) = (None, Ipv4Addr::UNSPECIFIED);
    for attribute in &message.attributes {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match attribute {
            RouteAttribute::Oif(number) => index = Some(IfIndex(*number)),
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => source = *ip,
            _ => {}
        }
    }
    let ours = is_ours(message.header.protocol) && message.header.destination_prefix_length == 0;
    Some(Route { table: table_of(message), index: index.filter(|_| ours)?, source })
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
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Table(rule.table),
        RuleAttribute::Priority(rule.selector.priority()),
        RuleAttribute::Protocol(RouteProtocol::Other(OURS)),
    ];
    match &rule.selector {
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
    RouteMessageBuilder::<Ipv4Addr>::new()
        .table_id(route.table)
        .output_interface(route.index.0)
        .pref_source(route.source)
        .protocol(RouteProtocol::Other(OURS))
        .scope(RouteScope::Link)
        .build()
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.selector {
            Selector::Interface(name) => write!(f, "oif {name}")?,
            Selector::Mark(mark) => write!(f, "fwmark {mark}")?,
            Selector::Source(ip) => write!(f, "from {ip}")?,
        }
        write!(f, " lookup {}", self.table)
    }
}
