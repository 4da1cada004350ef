// flood: sends Ethernet/IPv4/UDP or TCP packets from an AF_PACKET socket, one flow or one per packet.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ETH_LEN = 14, IP_LEN = 20, UDP_LEN = 8, TCP_LEN = 20, SEQ_LEN = 8, FRAME_MAX = 1514 };

struct options {
    const char *dev;
    uint8_t src_mac[6], dst_mac[6];
    struct in_addr src_ip, dst_ip;
    bool tcp, seq, pairs;
    uint16_t sport_from, sport_to, dport;
    uint64_t count; // 0: until a signal
    uint64_t rate;  // packets per second, 0: flat out
    size_t size;    // of the whole frame, without FCS
    uint16_t size_from, size_to; // of a range; 0: all have the one size
    uint64_t burst; // packets sent back to back at a paced rate
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
    (void)sig;
    stopped = 1;
}

static void usage(FILE *to)
{
    fputs("usage: flood --dev DEV --src-mac M --dst-mac M --src-ip A --dst-ip A [OPTION...]\n"
          "  --proto udp|tcp      (udp; tcp sends SYNs)\n"
          "  --sport N            source port (40000)\n"
          "  --sport-range A-B    a new source port each packet, from A to B and over again\n"
          "  --dport N            destination port (9)\n"
          "  --pairs              a new destination port each packet too, from --dport on\n"
          "  --count N            packets to send, 0 for ever (1000)\n"
          "  --rate PPS           packets per second, 0 flat out (0)\n"
          "  --burst N            packets sent at once when paced (1)\n"
          "  --size BYTES         of the whole frame (64)\n"
          "  --size-range A-B     another size each packet, from A to B and over again\n"
          "  --seq                the last 8 payload bytes count the packets, u64 big endian\n",
          to);
}

static void die(const char *what, const char *value)
{
    fprintf(stderr, "flood: %s: %s\n", what, value);
    exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || n > max)
        die(name, text);
    return n;
}

static void range(const char *text, uint16_t *from, uint16_t *to)
{
    char copy[16];
    char *dash;
    if (strlen(text) >= sizeof copy || !(dash = strchr(strcpy(copy, text), '-')))
        die("--sport-range", text);
    *dash = 0;
    *from = number("--sport-range", copy, 65535);
    *to = number("--sport-range", dash + 1, 65535);
    if (*from > *to)
        die("--sport-range", text);
}

static void mac(const char *name, const char *text, uint8_t out[6])
{
    char rest;
    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &out[0], &out[1], &out[2], &out[3],
               &out[4], &out[5], &rest) != 6)
        die(name, text);
}

static void address(const char *name, const char *text, struct in_addr *out)
{
    if (inet_pton(AF_INET, text, out) != 1)
        die(name, text);
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.sport_from = 40000, .sport_to = 40000, .dport = 9, .count = 1000,
                        .size = 64, .burst = 1};
    bool have_src_mac = false, have_dst_mac = false, have_src_ip = false, have_dst_ip = false;
    enum { DEV = 1, SMAC, DMAC, SIP, DIP, PROTO, SPORT, SRANGE, DPORT, PAIRS, COUNT, RATE, BURST,
           SIZE, SIZES, SEQ, HELP };
    static const struct option longs[] = {
        {"dev", required_argument, 0, DEV},          {"src-mac", required_argument, 0, SMAC},
        {"dst-mac", required_argument, 0, DMAC},     {"src-ip", required_argument, 0, SIP},
        {"dst-ip", required_argument, 0, DIP},       {"proto", required_argument, 0, PROTO},
        {"sport", required_argument, 0, SPORT},      {"sport-range", required_argument, 0, SRANGE},
        {"dport", required_argument, 0, DPORT},      {"count", required_argument, 0, COUNT},
        {"rate", required_argument, 0, RATE},        {"burst", required_argument, 0, BURST},
        {"size", required_argument, 0, SIZE},        {"size-range", required_argument, 0, SIZES},
        {"seq", no_argument, 0, SEQ},                {"pairs", no_argument, 0, PAIRS},
        {"help", no_argument, 0, HELP},              {0},
    };
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case DEV: o.dev = optarg; break;
        case SMAC: mac("--src-mac", optarg, o.src_mac); have_src_mac = true; break;
        case DMAC: mac("--dst-mac", optarg, o.dst_mac); have_dst_mac = true; break;
        case SIP: address("--src-ip", optarg, &o.src_ip); have_src_ip = true; break;
        case DIP: address("--dst-ip", optarg, &o.dst_ip); have_dst_ip = true; break;
        case PROTO:
            if (strcmp(optarg, "udp") && strcmp(optarg, "tcp"))
                die("--proto", optarg);
            o.tcp = !strcmp(optarg, "tcp");
            break;
        case SPORT: o.sport_from = o.sport_to = number("--sport", optarg, 65535); break;
        case SRANGE: range(optarg, &o.sport_from, &o.sport_to); break;
        case DPORT: o.dport = number("--dport", optarg, 65535); break;
        case PAIRS: o.pairs = true; break;
        case COUNT: o.count = number("--count", optarg, UINT64_MAX); break;
        case RATE: o.rate = number("--rate", optarg, 1000000000); break;
        case BURST: o.burst = number("--burst", optarg, 1000000); break;
        case SIZE: o.size = number("--size", optarg, FRAME_MAX); break;
        case SIZES: range(optarg, &o.size_from, &o.size_to); break;
        case SEQ: o.seq = true; break;
        case HELP: usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    }
    if (optind != argc || !o.dev || !have_src_mac || !have_dst_mac || !have_src_ip ||
        !have_dst_ip || !o.burst) {
        usage(stderr);
        exit(2);
    }
    size_t least = ETH_LEN + IP_LEN + (o.tcp ? TCP_LEN : UDP_LEN) + (o.seq ? SEQ_LEN : 0);
    if (o.size < least)
        o.size = least;
    if (o.size_to && (o.size_from < least || o.size_to > FRAME_MAX)) {
        fprintf(stderr, "flood: --size-range: frames have %zu to %d bytes\n", least, FRAME_MAX);
        exit(2);
    }
    return o;
}

// One's complement sum (RFC 1071), not yet folded, so that parts can be added up.
static uint32_t sum(const uint8_t *p, size_t len, uint32_t acc)
{
    for (; len > 1; p += 2, len -= 2)
        acc += p[0] << 8 | p[1];
    return len ? acc + (p[0] << 8) : acc;
}

static uint16_t fold(uint32_t acc)
{
    while (acc >> 16)
        acc = (acc & 0xffff) + (acc >> 16);
    return ~acc;
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = v >> 8;
    p[1] = v;
}

// The frame but for what differs from packet to packet; `*base` is the L4 sum of what does not.
static void build(const struct options *o, uint8_t *f, uint32_t *base)
{
    uint8_t *ip = f + ETH_LEN, *l4 = ip + IP_LEN;
    size_t l4_len = o->size - ETH_LEN - IP_LEN;
    memset(f, 0, o->size);
    memcpy(f, o->dst_mac, 6);
    memcpy(f + 6, o->src_mac, 6);
    put16(f + 12, ETHERTYPE_IP);
    ip[0] = 0x45;
    put16(ip + 2, o->size - ETH_LEN);
    put16(ip + 6, 0x4000); // don't fragment
    ip[8] = 64;
    ip[9] = o->tcp ? IPPROTO_TCP : IPPROTO_UDP;
    memcpy(ip + 12, &o->src_ip, 4);
    memcpy(ip + 16, &o->dst_ip, 4);
    put16(ip + 10, fold(sum(ip, IP_LEN, 0)));
    put16(l4 + 2, o->dport);
    if (o->tcp) {
        put16(l4 + 6, 1); // sequence number
        l4[12] = TCP_LEN / 4 << 4;
        l4[13] = 0x02; // SYN
        put16(l4 + 14, 64240);
    } else {
        put16(l4 + 4, l4_len);
    }
    size_t head = o->tcp ? TCP_LEN : UDP_LEN;
    for (size_t i = head; i < l4_len - (o->seq ? SEQ_LEN : 0); i++)
        l4[i] = 'a' + (i - head) % 26;
    *base = sum(l4, l4_len, sum(ip + 12, 8, ip[9] + l4_len));
}

static void finish(const struct options *o, uint8_t *f, uint32_t base, uint16_t sport, uint64_t n)
{
    uint8_t *l4 = f + ETH_LEN + IP_LEN, *check = l4 + (o->tcp ? 16 : 6);
    uint32_t acc = base + sport;
    put16(l4, sport);
    if (o->seq) {
        uint8_t *at = f + o->size - SEQ_LEN;
        bool odd = (at - l4) & 1; // the sum pairs bytes from the start of the header
        for (int i = 0; i < SEQ_LEN; i++) {
            at[i] = n >> (56 - 8 * i);
            acc += (uint32_t)at[i] << ((i & 1) == odd ? 8 : 0);
        }
    }
    uint16_t c = fold(acc);
    put16(check, !o->tcp && c == 0 ? 0xffff : c); // a UDP checksum of 0 means "none"
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR && !stopped) {}
}

static int open_socket(const char *dev)
{
    int index = if_nametoindex(dev);
    if (!index)
        die("no such device", dev);
    int fd = socket(AF_PACKET, SOCK_RAW, 0); // protocol 0: it never receives
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = index};
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to))
        die(dev, strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    uint8_t frame[FRAME_MAX];
    uint32_t base;
    build(&o, frame, &base);
    int fd = open_socket(o.dev);

    struct sigaction act = {.sa_handler = stop};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);

    uint64_t sent = 0, failed = 0, start = now_ns();
    uint16_t sport = o.sport_from;
    for (uint64_t n = 0; !stopped && (!o.count || n < o.count); n++) {
        if (o.rate && n % o.burst == 0)
            sleep_until(start + (uint64_t)((double)n * 1e9 / (double)o.rate));
        if (o.size_to) {
            o.size = o.size_from + n % (o.size_to - o.size_from + 1);
            build(&o, frame, &base);
        }
        if (o.pairs)
            build(&o, frame, &base);
        finish(&o, frame, base, sport, n);
        if (send(fd, frame, o.size, 0) == (ssize_t)o.size)
            sent++;
        else if (errno != EINTR)
            failed++;
        sport = sport == o.sport_to ? o.sport_from : sport + 1;
        o.dport += o.pairs;
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("sent %" PRIu64 " failed %" PRIu64 " seconds %.6f pps %.0f\n", sent, failed, seconds,
           seconds > 0 ? (double)sent / seconds : 0);
    return failed ? 1 : 0;
}
