/* The floor: reads rtnetlink's links and IPv4 addresses with the daemon's receive buffer, and does nothing else.
 * SIGUSR1: from now on it also writes, for each link, when recv returned, and what is told of the link; and back. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t loud;

static void toggle(int number) { (void)number, loud = !loud; }

static void tell(const struct nlmsghdr *head, long long at) {
    const struct ifinfomsg *link = NLMSG_DATA(head);
    const char *name = "?";
    int rest = IFLA_PAYLOAD(head);
    if ((head->nlmsg_type != RTM_NEWLINK && head->nlmsg_type != RTM_DELLINK) || link->ifi_family != AF_UNSPEC) return;
    for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, rest); a = RTA_NEXT(a, rest))
        if (a->rta_type == IFLA_IFNAME) name = RTA_DATA(a);
    const char *what = head->nlmsg_type == RTM_DELLINK ? "gone" : (link->ifi_flags & IFF_UP) ? "up" : "down";
    dprintf(1, "%lld %d: %s %s\n", at, link->ifi_index, name, what);
}

int main(void) {
    static char data[1 << 16];
    struct sockaddr_nl here = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
    struct sigaction action = {.sa_handler = toggle, .sa_flags = SA_RESTART};
    int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), size = 16 << 20;
    sigaction(SIGUSR1, &action, NULL);
    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (bind(sock, (struct sockaddr *)&here, sizeof here)) return perror("bind"), 1;
    for (;;) {
        int length = recv(sock, data, sizeof data, 0);
        if (length < 0 && errno != ENOBUFS) return perror("recv"), 1;
        if (!loud || length < 0) continue;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (const struct nlmsghdr *head = (void *)data; NLMSG_OK(head, length); head = NLMSG_NEXT(head, length))
            tell(head, now.tv_sec * 1000000000LL + now.tv_nsec);
    }
}
