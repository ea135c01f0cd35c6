/* Wi-Fi and Bluetooth at the entry points of their libraries: none of the radio's own code runs.

   The addresses are data that belong to one image (entry_points.toml). A call of one of them comes here instead; what
   goes to the guest (frames, events, HCI packets) waits in a queue until its idle task waits for an interrupt. */
#include "c3.h"
#include <stdlib.h>

#define STACK 0x3FCDFC00u   /* in what the mask ROM keeps for itself, which nothing here uses */
#define SCRATCH 0x3FCDE800u
#define SCRATCH_SIZE 0x800u
#define EVENT_POST 45       /* in the table of calls that the firmware hands to esp_wifi_init */
#define WIDE 64

/* The first entries have a meaning here, in the order of entry_points.toml; the host answers the rest. */
enum entry { WIFI_INIT, WIFI_RECEIVE_CALLBACK, WIFI_TRANSMIT, HCI_CALLBACKS, HCI_ROOM, HCI_SEND };
enum { FRAME, EVENT, HCI, ROOM }; /* ROOM: the controller takes another HCI packet */

struct item { struct item *next; u64 when; u32 kind, id, size; u8 data[]; };

static u32 entries[WIDE], entry_count, event_base, event_post, receive[2], hci_callbacks, hci_busy;
static u8 hooked[1 << 14]; /* the pages that hold an entry, as bits; of 512 MiB, which is more than is mapped */
static struct item *first;
static u64 event_last;

void radio_load(const u32 *addresses, u32 count, u32 base)
{
    entry_count = count < WIDE ? count : WIDE;
    memcpy(entries, addresses, 4 * entry_count);
    event_base = base;
    for (u32 i = 0; i < entry_count; i++)
        if (entries[i] != 0)
            hooked[entries[i] >> 15 & 0x3FFF] |= (u8)BIT(entries[i] >> 12 & 7);
}

void radio_reset(void)
{
    event_post = receive[0] = receive[1] = hci_callbacks = hci_busy = 0;
    event_last = 0;
    while (first != 0) {
        struct item *gone = first;
        first = gone->next;
        free(gone);
    }
}

/* What is due first is first; of one moment, and among events, in the order in which they came. */
void radio_queue(u32 kind, u32 id, const u8 *data, u32 size, u64 when)
{
    if (kind == EVENT)
        when = event_last = when > event_last ? when : event_last;
    struct item *item = malloc(sizeof *item + size), **at = &first;
    while (*at != 0 && (*at)->when <= when)
        at = &(*at)->next;
    *item = (struct item){*at, when, kind, id, size};
    memcpy(item->data, data, size);
    *at = item;
    if (when < alarm_next())
        alarm_set(ALARM_RADIO, when);
}

static void out(void (*take)(const u8 *, u32), u32 address, u32 size)
{
    u8 data[2048];
    if (take != 0 && size <= sizeof data && copy_out(data, address, size))
        take(data, size);
}

static u32 entry_at(u32 address)
{
    u32 i = 0;
    while (i < entry_count && entries[i] != address)
        i++;
    return i;
}

int radio_hooks(u32 address)
{
    return address >> 28 == 4 && hooked[address >> 15 & 0x3FFF] >> (address >> 12 & 7) & 1 && entry_at(address) < entry_count;
}

void radio_call(void)
{
    enum entry entry = (enum entry)entry_at(pc);
    u32 answer = 0;
    switch (entry) {
    case WIFI_INIT: event_post = load(load(x[10], 4) + 4 * EVENT_POST, 4); break;
    case WIFI_RECEIVE_CALLBACK: receive[x[10] & 1] = x[11]; break;
    case WIFI_TRANSMIT: out(host.frame, x[11], x[12]); break;
    case HCI_CALLBACKS: hci_callbacks = x[10]; break;
    case HCI_ROOM: answer = !hci_busy; break;
    case HCI_SEND: hci_busy = 1, out(host.hci, x[10], x[11]); break;
    default: answer = host.radio != 0 ? host.radio((int)entry, x[10], x[11], x[12]) : ~0u;
    }
    x[10] = answer;
    pc = x[1];
    now += 20 * tick_cost;
}

static void deliver(const struct item *item)
{
    if (item->kind == FRAME) {
        u32 callback = receive[item->id & 1], buffer = callback != 0 ? guest_malloc(item->size, STACK) : 0;
        if (buffer == 0)
            return; /* nobody listens, or no memory: the frame is lost, as in the air */
        copy_in(buffer, item->data, item->size);
        u32 arguments[3] = {buffer, item->size, buffer};
        guest_call(callback, STACK, 3, arguments);
    } else if (item->kind == EVENT && event_post != 0 && item->size <= SCRATCH_SIZE) {
        copy_in(SCRATCH, item->data, item->size);
        u32 arguments[5] = {event_base, item->id, item->size ? SCRATCH : 0, item->size, 0};
        guest_call(event_post, STACK, 5, arguments);
    } else if (item->kind == HCI && hci_callbacks != 0 && item->size <= SCRATCH_SIZE) {
        u32 arguments[2] = {SCRATCH, item->size};
        copy_in(SCRATCH, item->data, item->size);
        guest_call(load(hci_callbacks + 4, 4), STACK, 2, arguments);
    } else if (item->kind == ROOM) {
        hci_busy = 0;
        if (hci_callbacks != 0)
            guest_call(load(hci_callbacks, 4), STACK, 0, 0);
    }
}

/* Hands over the first thing that is due; 0 when there is none. */
int radio_deliver(void)
{
    struct item *item = first;
    if (item == 0)
        return 0;
    if (item->when > now) {
        alarm_set(ALARM_RADIO, item->when);
        return 0;
    }
    first = item->next;
    deliver(item);
    free(item);
    return 1;
}
