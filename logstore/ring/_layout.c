/* The layout of the region as a dictionary, so that Python repeats no offset and no constant. */
#include "ring/_ring.h"

struct entry {
    const char *name;
    unsigned long long value;
};

#define AT(field) {#field, offsetof(struct ls_region, field)}
#define IDENTITY(field) {"identity." #field, offsetof(struct ls_identity, field)}
#define CLIENT(field) {"client." #field, offsetof(struct ls_client, field)}
#define GROUP(field) {"group." #field, offsetof(struct ls_group, field)}
#define CONSTANT(name) {#name, LS_##name}

static const struct entry entries[] = {
    AT(owner), AT(head), AT(intent), AT(intent_group), AT(intent_seq), AT(published), AT(written),
    AT(synced), AT(sync_intent), AT(sync_request), AT(committer_mode), AT(syncer_mode),
    AT(eager_until_ns), AT(attach_count), AT(state), AT(failure_errno), AT(failure_stage),
    AT(failure_path), AT(start), AT(checkpointed), AT(revert_count), AT(newest_revert_lsn), AT(newest_checkpoint_lsn),
    AT(group_count), AT(segment_count), AT(segment_base), AT(segments_synced), AT(drains),
    AT(drain_bytes), AT(aborts), AT(rotations), AT(blocked_lsn),
    AT(blocked_owner), AT(blocked_ns), AT(drain_size), AT(log_time_ns), AT(syncs), AT(sync_bytes),
    AT(sync_time), AT(sync_recent_ns), AT(compact_request), AT(compact_done),
    AT(compact_bytes), AT(retain_bytes), AT(retain_age_ns), AT(dropped_below), AT(repairs), AT(committer_restarts), AT(syncer_restarts),
    AT(held_lsn), AT(held_owner), AT(held_ns), AT(late_lsn), AT(late_owner), AT(late_ns), AT(groups), AT(clients),
    AT(transactions),

    IDENTITY(magic), IDENTITY(layout_version), IDENTITY(header_size), IDENTITY(uuid),
    IDENTITY(boot_id), IDENTITY(epoch), IDENTITY(salt), IDENTITY(ring_size), IDENTITY(segment_size),
    IDENTITY(sync_interval_ns), IDENTITY(created_ns), IDENTITY(mode), IDENTITY(name), IDENTITY(directory),

    CLIENT(generation), CLIENT(pid), CLIENT(start_ticks), CLIENT(attached_ns), CLIENT(appends),
    CLIENT(bytes), CLIENT(batches), CLIENT(stalls), CLIENT(pinned_lsn), CLIENT(command),
    CLIENT(append_stall), CLIENT(durable_wait),

    GROUP(seq), GROUP(written_seq), GROUP(synced_seq), GROUP(checkpointed_seq),
    GROUP(oldest_needed_lsn), GROUP(visible_lsn), GROUP(name),

    {"client.size", sizeof(struct ls_client)},
    {"group.size", sizeof(struct ls_group)},
    {"transaction.size", sizeof(struct ls_transaction)},
    {"transaction.owner", offsetof(struct ls_transaction, owner)},
    {"transaction.first_lsn", offsetof(struct ls_transaction, first_lsn)},
    {"name.size", sizeof(((struct ls_identity *)0)->name)},
    {"directory.size", sizeof(((struct ls_identity *)0)->directory)},
    {"failure_stage.size", sizeof(((struct ls_region *)0)->failure_stage)},
    {"failure_path.size", sizeof(((struct ls_region *)0)->failure_path)},
    {"command.size", sizeof(((struct ls_client *)0)->command)},

    CONSTANT(MAGIC), CONSTANT(LAYOUT_VERSION), CONSTANT(CLIENTS), CONSTANT(GROUPS),
    CONSTANT(BUCKETS), CONSTANT(SEGMENT_SLOTS), CONSTANT(TRANSACTIONS), CONSTANT(EAGER_NS), CONSTANT(NAP_NS),
    CONSTANT(COMMITTER),
    CONSTANT(EXTENT), CONSTANT(INDEX_BITS), CONSTANT(GENERATION_MASK),
    CONSTANT(STATE_STARTING), CONSTANT(STATE_RUNNING), CONSTANT(STATE_DRAINING),
    CONSTANT(STATE_FULL), CONSTANT(STATE_FAILED), CONSTANT(STATE_CLOSED), CONSTANT(AWAKE),
    CONSTANT(NAPPING), CONSTANT(SLEEPING), CONSTANT(BUSY), CONSTANT(NO_ROOM),
    CONSTANT(WRONG_STATE), CONSTANT(TIMED_OUT), CONSTANT(TOO_LARGE), CONSTANT(REVERTED), CONSTANT(STOP_DRY),
    CONSTANT(STOP_BLOCKED), CONSTANT(STOP_LIMIT), CONSTANT(STOP_DAMAGED),
    {"CLOSED", STATUS_CLOSED},
    {"STALLED", STATUS_STALLED},
    {"REVERTS", STATUS_REVERTS},
};

PyObject *layout_dict(void)
{
    PyObject *dict = PyDict_New();
    PyObject *value = PyLong_FromUnsignedLongLong(ls_header_size());
    int failed = dict == NULL || value == NULL || PyDict_SetItemString(dict, "header.size", value) < 0;
    Py_XDECREF(value);
    for (size_t i = 0; !failed && i < sizeof entries / sizeof entries[0]; i++) {
        value = PyLong_FromUnsignedLongLong(entries[i].value);
        failed = value == NULL || PyDict_SetItemString(dict, entries[i].name, value) < 0;
        Py_XDECREF(value);
    }
    if (failed)
        Py_CLEAR(dict);
    return dict;
}
