/*
 * Forwards the packets of settled media flows where they come in, before the kernel makes sockets of them.
 *
 * A packet that is not the exact match of a flow is not touched: it goes on to its socket. So do packets that
 * need more than new addresses: fragments, IP options, an expiring TTL, more bytes than the way out takes. Alone
 * for a port that strangers flood user space may have them dropped here, before they cost more.
 * "npm run build:bpf" turns this into programs.ts; nothing but clang is needed, hence no header is included.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef long long s64;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* Both targets, x86-64 and arm64, are little-endian. */
#define net16(value) __builtin_bswap16(value)
#define net32(value) __builtin_bswap32(value)

/* ---- The kernel's interface: include/uapi/linux/bpf.h ---- */

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_l4_csum_replace)(void *skb, u32 offset, u64 from, u64 to, u64 flags) = (void *)11;
static long (*const bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*const bpf_skb_pull_data)(void *skb, u32 length) = (void *)39;
static s64 (*const bpf_csum_update)(void *skb, u32 sum) = (void *)40;
static long (*const bpf_redirect_neigh)(u32 ifindex, void *next_hop, int size, u64 flags) = (void *)152;

enum { F_PSEUDO_HEADER = 1 << 4, F_KEEP_ZERO = 1 << 5 };
enum { TCX_NEXT = -1, TCX_DROP = 2 };
enum { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3 };

/* struct __sk_buff */
struct skb {
  u32 length, packet_type, mark, queue, protocol, vlan_present, vlan_tci, vlan_protocol, priority;
  u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id;
  u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
  u64 flow_keys, timestamp;
  u32 wire_length, gso_segments;
  u64 socket;
  u32 gso_size;
};

struct xdp {
  u32 data, data_end, data_meta, ingress_ifindex;
};

struct next_hop {
  u32 family;
  u32 address[4];
};

enum { AF_INET = 2, AF_INET6 = 10 };

/* ---- The wire ---- */

struct ethernet {
  u8 destination[6], source[6];
  u16 type;
};

struct ipv4 {
  u8 version, tos;
  u16 length, id, fragment;
  u8 ttl, protocol;
  u16 checksum;
  u32 source, destination;
};

struct ipv6 {
  u32 version;
  u16 length;
  u8 next_header, hop_limit;
  u32 source[4], destination[4];
};

struct udp {
  u16 source, destination, length, checksum;
};

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, PROTOCOL_ICMP = 1, PROTOCOL_UDP = 17, PROTOCOL_ICMPV6 = 58 };
/* Bytes up to the second one of the payload, which tells RTP and RTCP apart, and up to the end of RTP's header. */
enum { UDP4 = 14 + 20, UDP6 = 14 + 40, READ4 = UDP4 + 8 + 2, READ6 = UDP6 + 8 + 2, RTP = 12 };
/* ICMP has eight bytes and then the beginning of the packet that it is about, here up to its ports. */
enum { QUOTED4 = UDP4 + 8, QUOTED6 = UDP6 + 8, QUOTING4 = QUOTED4 + 20 + 4, QUOTING6 = QUOTED6 + 40 + 4 };

/* ---- What user space writes: src/media/kernel/flow-layout.ts ---- */

/* Addresses and ports as on the wire; an IPv4 address is the first word, the others are zero. */
struct key {
  u32 source[4], destination[4];
  u16 source_port, destination_port;
  u32 family;
};

/*
 * With 160 bytes an element of the map, its key and the kernel's own 56 bytes fill four lines of the cache: with a
 * byte more it would take the place of eight.
 */
struct flow {
  u64 packets, bytes, last_ns;
  u32 source[4], destination[4];
  u16 source_port, destination_port;
  /* Whose flow it is, for user space. */
  u32 slot;
  u32 ifindex;
  u32 next_hop[4];
  /* The new addresses minus the old ones, in the arithmetic of the Internet checksum (RFC 1071). */
  u32 address_difference;
  u8 destination_mac[6], source_mac[6];
  /* Of an IP packet, on the way out. */
  u16 max_length;
  u8 flags;
  /* The payload type whose clock has this rate, in Hz; 0 for unknown. */
  u8 payload_type;
  u32 clock_rate;
  /* What src/media/rtp-statistics.ts remembers of a stream. */
  u32 ssrc, ssrc_changes, first_sequence, highest_sequence, source_packets;
  u32 lost_before, received_before, reordered, duplicates;
  /* In ticks of the clock; jitter sixteen times, as RFC 3550 A.8 has it. */
  u32 transit, jitter;
  /* Of the packets, those that are no RTP. */
  u32 aside;
  u8 has_transit;
  /* Six bits to leave with; more than that for those that the packet came with. */
  u8 dscp;
  /* Packets that go the other way were said to be too big for it. */
  u16 too_big;
};

enum { DSCP_KEPT = 64 };

enum {
  /* RTP or RTCP is expected, not another protocol over UDP. */
  F_RTP = 1,
  /* Somebody reads the RTCP. */
  F_RTCP_READ = 2,
  /* All packets are of one source at a time, whose numbers and time stamps tell something. */
  F_TRACKED = 4,
  /*
   * No flow but a guard: its key has no source. What comes to that address and port from another source than the
   * guard's is dropped and counted in `packets`. No packet is short enough to be forwarded by it.
   */
  F_GUARD = 8,
  /* The guard lets in what looks like STUN. */
  F_STUN = 16,
};

/* A name for the loader to find: it puts the descriptor of the map in the place of each reference. */
extern char flows;

/*
 * ---- What both programs do ----
 *
 * `six` is a constant wherever these are used: each program holds its code twice, once for each family, in which
 * the verifiers of all kernels can see that a pointer is one.
 */

INLINE void *ip_of(void *data) { return data + sizeof(struct ethernet); }

INLINE struct udp *udp_of(void *data, int six) { return data + (six ? UDP6 : UDP4); }

/* Reads the key of a packet; gives the length of its IP packet, or 0 where it is none to forward. */
INLINE u32 read_key(struct key *key, void *data, int six) {
  struct udp *udp = udp_of(data, six);
  u32 length;
  if (six) {
    struct ipv6 *ip = ip_of(data);
    if ((ip->version & net32(0xf0000000)) != net32(0x60000000) || ip->next_header != PROTOCOL_UDP || ip->hop_limit <= 1) return 0;
    /* Without a checksum it is no valid packet (RFC 8200 8.1): the socket's business. */
    if (udp->checksum == 0 || udp->length != ip->length) return 0;
    length = net16(ip->length) + sizeof *ip;
    key->family = AF_INET6;
    __builtin_memcpy(key->source, ip->source, 32);
  } else {
    struct ipv4 *ip = ip_of(data);
    if (ip->version != 0x45 || ip->protocol != PROTOCOL_UDP || ip->ttl <= 1) return 0;
    if (ip->fragment & net16(0x3fff)) return 0;
    length = net16(ip->length);
    if (net16(udp->length) + sizeof *ip != length) return 0;
    key->family = AF_INET;
    key->source[0] = ip->source;
    key->destination[0] = ip->destination;
  }
  /* Shorter than the two bytes that are looked at, or than its own header: what is read would be padding. */
  if (net16(udp->length) < sizeof *udp + 2) return 0;
  key->source_port = udp->source;
  key->destination_port = udp->destination;
  return length;
}

/* True for a packet, of no flow, from whom user space wants to hear nothing more. */
INLINE int is_unwanted(struct key *key, struct key *guarded, struct udp *udp) {
  u8 *payload = (u8 *)(udp + 1);
  __builtin_memcpy(guarded->destination, key->destination, sizeof key->destination);
  guarded->destination_port = key->destination_port;
  guarded->family = key->family;
  struct flow *guard = bpf_map_lookup_elem(&flows, guarded);
  if (!guard || !(guard->flags & F_GUARD)) return 0;
  u32 different = key->source_port ^ guard->source_port;
  for (int i = 0; i < 4; i++) different |= key->source[i] ^ guard->source[i];
  if (different == 0 || ((guard->flags & F_STUN) && payload[0] < 4)) return 0;
  __sync_fetch_and_add(&guard->packets, 1);
  return 1;
}

INLINE int is_icmp(void *data, int six) {
  if (six) return ((struct ipv6 *)ip_of(data))->next_header == PROTOCOL_ICMPV6;
  return ((struct ipv4 *)ip_of(data))->version == 0x45 && ((struct ipv4 *)ip_of(data))->protocol == PROTOCOL_ICMP;
}

/*
 * A packet of ours was too big for its way (RFC 1191, RFC 8201): the kernel remembers that, and user space is told
 * to ask, by the flow that comes from where that packet went.
 */
INLINE void note_too_big(void *data, void *end, int six) {
  struct key key = {};
  u8 *icmp = data + (six ? UDP6 : UDP4);
  u16 *ports = data + (six ? QUOTING6 : QUOTING4) - 4;
  if ((void *)(ports + 2) > end) return;
  if (six) {
    struct ipv6 *sent = data + QUOTED6;
    if (icmp[0] != 2 || sent->next_header != PROTOCOL_UDP) return;
    key.family = AF_INET6;
    __builtin_memcpy(key.source, sent->destination, 16);
    __builtin_memcpy(key.destination, sent->source, 16);
  } else {
    struct ipv4 *sent = data + QUOTED4;
    if (icmp[0] != 3 || icmp[1] != 4 || sent->version != 0x45 || sent->protocol != PROTOCOL_UDP) return;
    key.family = AF_INET;
    key.source[0] = sent->destination;
    key.destination[0] = sent->source;
  }
  key.source_port = ports[1];
  key.destination_port = ports[0];
  struct flow *flow = bpf_map_lookup_elem(&flows, &key);
  if (flow) flow->too_big++;
}

/* RFC 5761 4: packet types of RTCP on the port of RTP. */
INLINE int is_rtcp(u8 second) { return second >= 192 && second <= 223; }

/* What the process wants to see itself: checks of ICE (RFC 7983 7), reports, a payload of another clock. */
INLINE int is_wanted(struct flow *flow, struct udp *udp) {
  u8 *payload = (u8 *)(udp + 1);
  if (!(flow->flags & F_RTP)) return 0;
  if (payload[0] < 4) return 1;
  if (is_rtcp(payload[1])) return flow->flags & F_RTCP_READ;
  return (flow->flags & F_TRACKED) && payload[0] >> 6 == 2 && (payload[1] & 0x7f) != flow->payload_type;
}

INLINE void restart(struct flow *flow, u16 sequence) {
  if (flow->source_packets > 0) {
    s32 lost = flow->highest_sequence - flow->first_sequence + 1 - flow->source_packets;
    if (lost > 0) flow->lost_before += lost;
    flow->received_before += flow->source_packets;
  }
  flow->first_sequence = sequence;
  flow->highest_sequence = sequence;
  flow->source_packets = 1;
  flow->has_transit = 0;
}

/* As rtp() of src/media/rtp-statistics.ts, in whole numbers. */
INLINE void track(struct flow *flow, u8 *rtp, u64 now) {
  u32 ssrc = net32(*(u32 *)(rtp + 8));
  u16 sequence = net16(*(u16 *)(rtp + 2));
  u16 ahead = sequence - (u16)flow->highest_sequence;
  if (flow->source_packets == 0 || flow->ssrc != ssrc) {
    if (flow->source_packets > 0) flow->ssrc_changes++;
    flow->ssrc = ssrc;
    restart(flow, sequence);
  } else if (ahead == 0) {
    flow->duplicates++;
    return;
  } else if (ahead < 3000) {
    flow->highest_sequence += ahead;
    flow->source_packets++;
  } else if (ahead > 0x10000 - 100) {
    flow->source_packets++;
    flow->reordered++;
    return;
  } else
    restart(flow, sequence);

  u32 rate = flow->clock_rate;
  if (rate == 0) return;
  u32 transit = (u32)(now / 1000 * rate / 1000000) - net32(*(u32 *)(rtp + 4));
  s32 moved = transit - flow->transit;
  if (moved < 0) moved = -moved;
  if (flow->has_transit && (u32)moved < 10 * rate) flow->jitter += moved - ((flow->jitter + 8) >> 4);
  flow->transit = transit;
  flow->has_transit = 1;
}

INLINE void count(struct flow *flow, struct udp *udp, void *end) {
  u8 *payload = (u8 *)(udp + 1);
  u64 now = bpf_ktime_get_ns();
  flow->last_ns = now;
  __sync_fetch_and_add(&flow->packets, 1);
  __sync_fetch_and_add(&flow->bytes, net16(udp->length) - sizeof *udp);
  if ((flow->flags & F_RTP) && is_rtcp(payload[1])) {
    __sync_fetch_and_add(&flow->aside, 1);
    return;
  }
  if (!(flow->flags & F_TRACKED) || (void *)payload + RTP > end || payload[0] >> 6 != 2) return;
  if (net16(udp->length) >= sizeof *udp + RTP) track(flow, payload, now);
}

INLINE u32 fold(u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

/* Everything but the checksum of UDP. */
INLINE void readdress(void *data, struct flow *flow, int six) {
  struct udp *udp = udp_of(data, six);
  if (six) {
    struct ipv6 *ip = ip_of(data);
    ip->hop_limit--;
    __builtin_memcpy(ip->source, flow->source, 32);
    /* Version, traffic class (DSCP and two bits of ECN), flow label. */
    if (flow->dscp < DSCP_KEPT) {
      u32 first = net32(ip->version);
      ip->version = net32((first & ~(0x3fu << 22)) | (u32)flow->dscp << 22);
    }
  } else {
    struct ipv4 *ip = ip_of(data);
    /* The TTL is the low byte of its word, and one less of it is 0xfffe more; the TOS is the high byte. */
    u64 sum = (u64)(u16)~ip->checksum + flow->address_difference + 0xfffe;
    if (flow->dscp < DSCP_KEPT) {
      u8 tos = (ip->tos & 3) | (u32)flow->dscp << 2;
      sum += (u16)~((u16)ip->tos << 8) + ((u16)tos << 8);
      ip->tos = tos;
    }
    ip->checksum = ~fold(sum);
    ip->ttl--;
    ip->source = flow->source[0];
    ip->destination = flow->destination[0];
  }
  udp->source = flow->source_port;
  udp->destination = flow->destination_port;
}

/* The sum of the pseudo-header (RFC 768, RFC 8200 8.1). */
INLINE u32 pseudo_header(const struct key *key, u16 udp_length) {
  u64 sum = (u64)net16(PROTOCOL_UDP) + udp_length;
  for (int i = 0; i < 4; i++) sum += (u64)key->source[i] + key->destination[i];
  return fold(sum);
}

/* The checksum of UDP for new addresses and ports, while the old ports stand there (RFC 1624). */
INLINE void mend(struct udp *udp, struct flow *flow) {
  u64 sum = (u64)(u16)~udp->checksum + flow->address_difference;
  sum += (u64)(u16)~udp->source + flow->source_port + (u16)~udp->destination + flow->destination_port;
  u16 checksum = ~fold(sum);
  udp->checksum = checksum ? checksum : 0xffff;
}

/* ---- TCX, kernel 6.6 and later ---- */

/* Makes so many bytes readable in one piece. */
INLINE int pull(struct skb *skb, u32 bytes) {
  if ((void *)(long)skb->data + bytes <= (void *)(long)skb->data_end) return 1;
  return skb->length >= bytes && bpf_skb_pull_data(skb, bytes) == 0;
}

INLINE int forward_tcx(struct skb *skb, int six) {
  const u32 readable = six ? READ6 : READ4;
  const u32 checksum_at = (six ? UDP6 : UDP4) + 6;
  struct key key = {};
  struct key guarded = {};
  struct next_hop next_hop = {};

  if (!pull(skb, readable - 2 + RTP) && !pull(skb, readable)) return TCX_NEXT;
  void *data = (void *)(long)skb->data;
  void *end = (void *)(long)skb->data_end;
  if (data + readable > end) return TCX_NEXT;
  if (((struct ethernet *)data)->type != net16(six ? TYPE_IPV6 : TYPE_IPV4)) return TCX_NEXT;
  if (is_icmp(data, six)) {
    if (pull(skb, six ? QUOTING6 : QUOTING4)) note_too_big((void *)(long)skb->data, (void *)(long)skb->data_end, six);
    return TCX_NEXT;
  }
  u32 length = read_key(&key, data, six);
  if (length == 0 || length + sizeof(struct ethernet) > skb->length) return TCX_NEXT;
  struct flow *flow = bpf_map_lookup_elem(&flows, &key);
  struct udp *udp = udp_of(data, six);
  if (!flow) return is_unwanted(&key, &guarded, udp) ? TCX_DROP : TCX_NEXT;
  if (length > flow->max_length || is_wanted(flow, udp)) return TCX_NEXT;
  count(flow, udp, end);

  if (udp->checksum == pseudo_header(&key, udp->length)) {
    /* So looks what a card has to make a checksum of, and once in 65,536 a checksum: the helper knows which. */
    u32 ports = *(u32 *)udp;
    bpf_l4_csum_replace(skb, checksum_at, 0, flow->address_difference, F_PSEUDO_HEADER | F_KEEP_ZERO);
    bpf_l4_csum_replace(skb, checksum_at, ports, *(u32 *)&flow->source_port, F_KEEP_ZERO | 4);
    /* A helper that writes may have moved the packet. */
    data = (void *)(long)skb->data;
    if (data + readable > (void *)(long)skb->data_end) return TCX_DROP;
  } else if (udp->checksum) {
    mend(udp, flow);
    /*
     * The sum of the whole packet, where a card told one, loses what the pseudo-header gained; in IPv6, without a
     * checksum of the header, it gains that by the addresses, and one hop less is the difference.
     */
    bpf_csum_update(skb, six ? ~0x100u : ~flow->address_difference);
  }
  readdress(data, flow, six);
  next_hop.family = six ? AF_INET6 : AF_INET;
  __builtin_memcpy(next_hop.address, flow->next_hop, sizeof next_hop.address);
  return bpf_redirect_neigh(flow->ifindex, &next_hop, sizeof next_hop, 0);
}

SECTION("tcx") int relay_tcx(struct skb *skb) {
  if (skb->vlan_present || skb->packet_type || skb->gso_size) return TCX_NEXT;
  if (skb->protocol == net16(TYPE_IPV4)) return forward_tcx(skb, 0);
  if (skb->protocol == net16(TYPE_IPV6)) return forward_tcx(skb, 1);
  return TCX_NEXT;
}

/* ---- XDP, older kernels ---- */

INLINE int forward_xdp(struct xdp *xdp, void *data, void *end, int six) {
  struct ethernet *ethernet = data;
  struct udp *udp = udp_of(data, six);
  struct key key = {};
  struct key guarded = {};

  /*
   * Whether the frame is as long as its header says cannot be asked here: without CAP_PERFMON the verifier adds no
   * number of a packet to a pointer into it, and the helper that tells the length came with kernel 5.18. A frame
   * that was cut short goes on to be dropped by its receiver.
   */
  if (is_icmp(data, six)) {
    note_too_big(data, end, six);
    return XDP_PASS;
  }
  u32 length = read_key(&key, data, six);
  if (length == 0) return XDP_PASS;
  struct flow *flow = bpf_map_lookup_elem(&flows, &key);
  if (!flow) return is_unwanted(&key, &guarded, udp) ? XDP_DROP : XDP_PASS;
  if (length > flow->max_length || is_wanted(flow, udp)) return XDP_PASS;
  if (udp->checksum) {
    /*
     * A packet from the same machine may carry the sum of its pseudo-header, for a card to make a checksum of.
     * XDP cannot see which of the two this is; a checksum that happens to look so loses nothing by the detour.
     */
    if (udp->checksum == pseudo_header(&key, udp->length)) return XDP_PASS;
    mend(udp, flow);
  }
  count(flow, udp, end);
  readdress(data, flow, six);
  __builtin_memcpy(ethernet->destination, flow->destination_mac, 6);
  __builtin_memcpy(ethernet->source, flow->source_mac, 6);
  if (flow->ifindex == xdp->ingress_ifindex) return XDP_TX;
  return bpf_redirect(flow->ifindex, 0);
}

SECTION("xdp") int relay_xdp(struct xdp *xdp) {
  void *data = (void *)(long)xdp->data;
  void *end = (void *)(long)xdp->data_end;
  if (data + READ4 > end) return XDP_PASS;
  u16 type = ((struct ethernet *)data)->type;
  if (type == net16(TYPE_IPV4)) return forward_xdp(xdp, data, end, 0);
  if (type != net16(TYPE_IPV6) || data + READ6 > end) return XDP_PASS;
  return forward_xdp(xdp, data, end, 1);
}
