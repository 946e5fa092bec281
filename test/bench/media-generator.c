/*
 * Plays the phones of many calls at once, and says what came of it.
 *
 *   media-generator INTERFACE MAC CALLS WARM_SECONDS SECONDS [RECEIVING_INTERFACE]
 *
 * On standard input: for each call the relay's two ports, that of the caller and that of the callee. Each side
 * sends 50 packets of G.711 a second. With a second interface the packets take no way through a relay: they are
 * sent as a relay would send them, to measure what this program itself costs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD 172
#define FIRST_PORT 30000
#define PACKETS_A_SECOND 50
#define BATCH 64
/* Delays in classes of 1 us up to 200 ms. */
#define CLASSES 200000

struct frame {
  struct ether_header ethernet;
  struct iphdr ip;
  struct udphdr udp;
  uint8_t payload[PAYLOAD];
} __attribute__((packed));

static const char *side_address[] = {"10.77.0.2", "10.77.0.3"};
static const char *relay_address = "10.77.0.1";

static volatile int measuring, stopped;
static uint64_t received, misled;
static uint32_t delays[CLASSES];
static int receiver;

static uint64_t now_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static uint32_t sum(const void *bytes, int length, uint32_t start) {
  const uint16_t *word = bytes;
  for (; length > 1; length -= 2) start += *word++;
  return start;
}

static uint16_t folded(uint32_t value) {
  while (value >> 16) value = (value & 0xffff) + (value >> 16);
  return ~value;
}

static void set_checksum(struct frame *frame) {
  frame->udp.check = 0;
  uint32_t value = sum(&frame->ip.saddr, 8, htons(IPPROTO_UDP) + frame->udp.len);
  value = sum(&frame->udp, sizeof frame->udp + PAYLOAD, value);
  frame->udp.check = folded(value) ? folded(value) : 0xffff;
}

static int open_packet_socket(const char *interface, int protocol) {
  struct sockaddr_ll at = {
      .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = if_nametoindex(interface)};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(protocol));
  if (fd < 0 || bind(fd, (void *)&at, sizeof at)) {
    perror(interface);
    exit(1);
  }
  return fd;
}

/* Counts what comes, with the delay since it was sent by the kernel's own time of arrival. */
static void *receive(void *unused) {
  (void)unused;
  static uint8_t buffers[BATCH][256];
  static char controls[BATCH][64];
  static struct sockaddr_ll sources[BATCH];
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  while (!stopped) {
    for (int i = 0; i < BATCH; i++) {
      parts[i] = (struct iovec){buffers[i], sizeof buffers[i]};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &sources[i],
                                            .msg_namelen = sizeof sources[i],
                                            .msg_iov = &parts[i],
                                            .msg_iovlen = 1,
                                            .msg_control = controls[i],
                                            .msg_controllen = sizeof controls[i]};
    }
    int count = recvmmsg(receiver, messages, BATCH, MSG_WAITFORONE, 0);
    for (int i = 0; i < count; i++) {
      struct frame *frame = (void *)buffers[i];
      if (sources[i].sll_pkttype != PACKET_HOST || messages[i].msg_len != sizeof *frame) continue;
      if (frame->ip.protocol != IPPROTO_UDP || frame->ip.saddr != inet_addr(relay_address)) continue;
      uint32_t stream;
      uint64_t sent;
      memcpy(&stream, frame->payload + 8, 4);
      memcpy(&sent, frame->payload + 16, 8);
      stream = ntohl(stream);
      if (sent == 0) continue; /* of the time before */
      received++;
      if (ntohs(frame->udp.dest) != FIRST_PORT + (stream & ~1u) ||
          frame->ip.daddr != inet_addr(side_address[~stream & 1]))
        misled++;
      struct cmsghdr *control = CMSG_FIRSTHDR(&messages[i].msg_hdr);
      if (!control) continue;
      struct timespec time;
      memcpy(&time, CMSG_DATA(control), sizeof time);
      int64_t delay = (int64_t)(time.tv_sec * 1000000000ull + time.tv_nsec - sent) / 1000;
      delays[delay < 0 ? 0 : delay < CLASSES ? delay : CLASSES - 1]++;
    }
  }
  return 0;
}

static double quantile(double share) {
  uint64_t left = received * share;
  for (int i = 0; i < CLASSES; i++) {
    if (delays[i] > left) return i;
    left -= delays[i];
  }
  return CLASSES;
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  const char *interface = argv[1];
  int calls = atoi(argv[3]), streams = 2 * calls, bare = argc > 6;
  double warm = atof(argv[4]), seconds = atof(argv[5]);
  unsigned mac[6], own[6];
  char path[99];
  prctl(PR_SET_TIMERSLACK, 1);
  snprintf(path, sizeof path, "/sys/class/net/%s/address", interface);
  sscanf(argv[2], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  memset(own, 0, sizeof own);

  struct frame *frames = calloc(streams, sizeof *frames);
  for (int i = 0; i < streams; i++) {
    struct frame *frame = &frames[i];
    int side = i & 1, port;
    if (scanf("%d", &port) != 1) return 2;
    for (int k = 0; k < 6; k++) {
      frame->ethernet.ether_dhost[k] = mac[k];
      frame->ethernet.ether_shost[k] = own[k] ? own[k] : 2;
    }
    frame->ethernet.ether_type = htons(ETHERTYPE_IP);
    frame->ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .frag_off = htons(IP_DF)};
    frame->ip.tot_len = htons(sizeof *frame - sizeof frame->ethernet);
    frame->ip.saddr = inet_addr(bare ? relay_address : side_address[side]);
    frame->ip.daddr = inet_addr(bare ? side_address[!side] : relay_address);
    frame->ip.check = folded(sum(&frame->ip, sizeof frame->ip, 0));
    frame->udp.source = htons(bare ? port : FIRST_PORT + (i & ~1));
    frame->udp.dest = htons(bare ? FIRST_PORT + (i & ~1) : port);
    frame->udp.len = htons(sizeof frame->udp + PAYLOAD);
    frame->payload[0] = 0x80;
    uint32_t ssrc = htonl(i);
    memcpy(frame->payload + 8, &ssrc, 4);
  }

  int sender = open_packet_socket(interface, 0), one = 1, bytes = 32 << 20;
  setsockopt(sender, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  receiver = open_packet_socket(bare ? argv[6] : interface, ETH_P_IP);
  setsockopt(receiver, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(receiver, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
  pthread_t thread;
  pthread_create(&thread, 0, receive, 0);

  uint64_t start = now_ns(CLOCK_MONOTONIC), sent = 0, counted = 0, refused = 0;
  uint64_t begin = start + warm * 1e9, end = begin + seconds * 1e9;
  double rate = (double)streams * PACKETS_A_SECOND;
  for (;;) {
    uint64_t time = now_ns(CLOCK_MONOTONIC);
    if (!measuring && time >= begin) {
      measuring = 1;
      puts("begin");
      fflush(stdout);
    }
    if (time >= end) break;
    int64_t due = (int64_t)((time - start) * rate / 1e9) - (int64_t)sent;
    if (due <= 0) {
      struct timespec nap = {0, 50000};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, 0);
      continue;
    }
    for (; due > 0; due--, sent++) {
      struct frame *frame = &frames[sent % streams];
      uint16_t sequence = htons(sent / streams);
      uint32_t stamp = htonl(sent / streams * 160);
      uint64_t at = measuring ? now_ns(CLOCK_REALTIME) : 0;
      memcpy(frame->payload + 2, &sequence, 2);
      memcpy(frame->payload + 4, &stamp, 4);
      memcpy(frame->payload + 16, &at, 8);
      set_checksum(frame);
      if (send(sender, frame, sizeof *frame, 0) < 0) refused++;
      else if (measuring) counted++;
    }
  }
  puts("end");
  fflush(stdout);
  usleep(300000);
  stopped = 1;
  printf("{\"sent\":%lu,\"received\":%lu,\"misled\":%lu,\"refused\":%lu,\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f}\n", counted,
         received, misled, refused, quantile(0.5), quantile(0.99), quantile(0.999));
  fflush(stdout);
  return 0;
}
