/* A model of guard, publish, repair and drain, for spin: every interleaving of a few writers, the
 * committer and the supervisor, with up to CRASHES deaths, each at any statement of whoever dies.
 *
 * It follows guard.c, ring.c, drain.c, repair.py and the workers statement by statement.  All frames
 * are one unit long and take one seq, in one group, so the frame at `lsn` has seq lsn + 1.  Memory is
 * sequentially consistent here.  tools/model_check.py runs it: `python -m tools.model_check`.
 *
 *   WRITERS, APPENDS   how many writers there are, and how often each appends before it leaves
 *   SLOTS              how many frames the ring holds
 *   CRASHES            how many deaths there are at most; the roles are started again
 *   REBORN             a dead writer's entry is taken anew: same index, next generation
 *   SUPERVISOR_LIVES   the supervisor does not die
 *   NO_SUPERVISOR      nobody but the writers repairs, as while the supervisor is dead
 *   ANY_TIME           a time-out may come at any moment, and the committer never sleeps; otherwise a
 *                      time-out comes when nobody can do anything else, and idle means blocked
 *   NO_TIMEOUTS        who waits for the guard waits for ever
 *
 * Every other name that #ifdef asks for plants a bug, which the checks must find.
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef APPENDS
#define APPENDS 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

#ifdef REBORN
#define FRAMES (WRITERS * APPENDS + CRASHES) /* a reborn writer appends once */
#else
#define FRAMES (WRITERS * APPENDS)
#endif
#define SUPERVISOR WRITERS
#define COMMITTER (WRITERS + 1)
#define PROCESSES (WRITERS + 2)
#define NOBODY 0
#define WHOLE 255 /* a first word that is {size, crc}; anything else is in flight, and its owner's token */

#define token(index, generation) (1 + (index) + WRITERS * (generation))
#define index_of(token) (((token) - 1) % WRITERS)
#define generation_of(token) (((token) - 1) / WRITERS)
#define at(lsn) ring[(lsn) % SLOTS]

typedef frame {
    byte word;
    byte lsn;
    byte seq;
    bool abort;   /* the kind */
    byte payload; /* whose: his token; 0 is zeros */
};

/* The region. */
byte semaphore = 1;
byte owner, head, intent, intent_seq, seq, published, written;
byte generation[WRITERS];
frame ring[SLOTS];

/* The kernel's: who holds the lock on its byte, and who the one on the recovery byte (index + 1). */
bool held[PROCESSES];
byte recovery;
bool told; /* a pidfd has told the supervisor of a death */

/* The segment files: 0 not written, 1 an abort frame, otherwise the payload + 1. */
byte file[FRAMES];

/* What only the checks know. */
byte inside;        /* living processes between their swap of the owner word and its release */
byte acked[FRAMES]; /* who published this frame, and was told so */
byte over;          /* writers that are gone for good */
byte budget;        /* deaths that may still come */

/* Every statement is one atomic step or the death of who would have done it.  The kernel gives back
 * what he held.  The number of deaths is chosen at the start: a death that could still come would
 * else keep spin from seeing that nobody can go on. */
#ifdef SUPERVISOR_LIVES
#define may_die (budget > 0 && self != SUPERVISOR)
#else
#define may_die (budget > 0)
#endif
#define DO(statement) \
    if :: atomic { statement } :: atomic { may_die -> budget--; die(); goto died } fi

inline die() {
    held[self] = false;
    inside = inside - in_guard;
    in_guard = 0;
    if :: recovery == self + 1 -> recovery = NOBODY :: else fi;
    if :: self == SUPERVISOR -> told = false :: else -> told = held[SUPERVISOR] fi
}

/* What a sleeper wakes for; whoever acts asks anew, step by step. */
#ifdef INDEX_ALONE
#define dead_token(token) (!held[index_of(token)])
#else
#define dead_token(token) \
    (!held[index_of(token)] || generation[index_of(token)] != generation_of(token))
#endif

/* liveness: is the very client that this token names dead?  Two loads, as in Liveness.alive. */
inline ask_whether_dead(token) {
#ifdef REBORN
    DO(dead = (generation[index_of(token)] != generation_of(token)));
#else
    dead = 0;
#endif
#ifdef INDEX_ALONE
    dead = 0;
#endif
    if :: !dead -> DO(dead = !held[index_of(token)]) :: else fi
}

/* guard: ls_guard_post. */
inline post() {
    DO(value = semaphore);
    DO(if :: value == 0 -> semaphore++; assert(semaphore <= PROCESSES) :: else fi);
    value = 0
}

/* guard: ls_guard_release, from `owner` = 0 on. */
inline release() {
#ifdef VALUE_BEFORE_OWNER
    DO(value = semaphore);
#endif
    DO(owner = NOBODY; inside--; in_guard = 0);
#ifdef VALUE_BEFORE_OWNER
    DO(if :: value == 0 -> semaphore++ :: else fi);
    value = 0
#else
#ifndef NO_POST
    post()
#endif
#endif
}

/* repair: repair_guard, and in it ls_guard_repair. */
inline repair_guard() {
    DO(suspect = owner);
    if
    :: suspect != NOBODY ->
        ask_whether_dead(suspect);
#ifdef REPAIR_THE_LIVING
        dead = 1;
#endif
        if
        :: dead ->
#ifdef NO_RECOVERY_LOCK
            ours = 1;
#else
            DO(ours = (recovery == NOBODY); if :: ours -> recovery = self + 1 :: else fi);
#endif
            if :: ours -> repair_as_the_one() :: else fi
        :: else
        fi
    :: else
    fi;
    suspect = 0; dead = 0; ours = 0
}

inline repair_as_the_one() {
#ifndef NO_SECOND_LOOK_AT_OWNER
    DO(ours = (owner == suspect)); /* somebody may have repaired before we had the lock */
#endif
    if
    :: ours ->
        DO(value = head);
        DO(ours = (value != intent)); /* so the store of head was done */
        value = 0;
#ifdef REDO_ALWAYS
        ours = 1;
#endif
#ifndef NO_REDO
        if
        :: ours ->
            DO(value = intent_seq);
            DO(if :: value > seq -> seq = value :: else fi);
            value = 0
        :: else
        fi;
#endif
        /* repair.redone.  A death here leaves the dead owner's token: repeated. */
        DO(assert(inside == 0); owner = NOBODY);
        post()
    :: else
    fi;
    DO(if :: recovery == self + 1 -> recovery = NOBODY :: else fi)
}

/* guard: ls_guard_until. The owner word is swapped with a token, or without one after a time-out. */
inline enter_guard() {
    in_guard = 0;
    do
    :: in_guard -> break
    :: else ->
        if
        :: atomic { semaphore > 0 -> semaphore--; by_token = 1 }
#ifdef ANY_TIME
        :: semaphore == 0
#else
#ifndef NO_TIMEOUTS
        :: timeout
#endif
#endif
        :: atomic { may_die -> budget--; die(); goto died }
        fi;
#ifdef OWNER_BY_STORE
        DO(if :: by_token || owner == NOBODY -> owner = me; in_guard = 1 :: else fi;
           inside = inside + in_guard; assert(inside <= 1));
#else
        DO(if :: owner == NOBODY -> owner = me; in_guard = 1 :: else fi;
           inside = inside + in_guard; assert(inside <= 1)); /* mutual exclusion */
#endif
        /* After a time-out without success the writer looks around. */
        if
        :: !in_guard && !by_token -> repair_guard()
        :: else
        fi;
        by_token = 0
    od
}

/* ring: has_room. Read under the guard; written only grows. */
#define has_room (head + 1 - written <= SLOTS)

inline write_header() {
    DO(at(lsn).word = me);
    DO(assert(lsn < written + SLOTS); /* nobody's frame is overwritten before it is in the file */
       at(lsn).lsn = lsn; at(lsn).seq = seq + 1; at(lsn).abort = false)
}

/* ring: reserve_guarded, once there is room. */
inline reserve_guarded() {
    lsn = head; /* the owner's alone */
#ifndef NO_INTENT
    DO(intent = lsn);
#endif
    DO(intent_seq = seq + 1);
#ifdef SEQ_BEFORE_HEAD
    write_header();
    DO(seq = seq + 1);
    DO(head = lsn + 1)
#else
#ifdef HEAD_BEFORE_HEADER
    DO(head = lsn + 1); /* the one store that is the reservation */
    write_header();
#else
    write_header();
#ifdef OWNER_BEFORE_HEAD
    release();
#endif
    DO(head = lsn + 1); /* the one store that is the reservation */
#endif
    DO(seq = seq + 1)
#endif
}

/* ring: ls_fill and seal_word. What is published is acknowledged: durability `ring`. */
inline fill_and_publish() {
#ifdef PUBLISH_BEFORE_FILL
    DO(at(lsn).word = WHOLE; acked[lsn] = me);
    DO(at(lsn).payload = me)
#else
    DO(at(lsn).payload = me);
    DO(at(lsn).word = WHOLE; acked[lsn] = me)
#endif
}

proctype writer(byte self) {
    byte me, lsn, value, suspect, left;
    bit in_guard, by_token, dead, ours;

born:
    /* client: _take_entry. The lock first, then the new generation. */
    atomic { held[self] = true; left = APPENDS; me = token(self, generation[self]) };
    do
    :: left > 0 ->
        enter_guard();
#ifdef ROOM_NOT_CHECKED
        if :: true ->
#else
        if
        :: has_room ->
#endif
            reserve_guarded();
#ifndef OWNER_BEFORE_HEAD
            release();
#endif
            fill_and_publish();
            atomic { left--; lsn = 0 }
#ifndef ROOM_NOT_CHECKED
        :: else ->
            release();
            DO(has_room -> skip) /* waiting: ls_wait_room sleeps until then, and tries again */
#endif
        fi
    :: else -> break
    od;
    /* It closes its log in order, and counts as dead from here on. */
    atomic { held[self] = false; told = held[SUPERVISOR]; over++; goto gone };

died:
    atomic {
        lsn = 0; value = 0; suspect = 0; by_token = 0; dead = 0; ours = 0; left = 0; me = 0;
#ifdef REBORN
        held[self] = true;
#else
        over++
#endif
    };
#ifdef REBORN
    /* Between these two it is the new holder that keeps the old token alive. */
    atomic { generation[self]++; left = 1; me = token(self, generation[self]); goto born }
#endif
gone:
    skip
}

/* drain: is there anything to do at `written`? Who is idle sleeps until there is. */
#ifdef NO_ABORT
#define work (written < head && at(written).word == WHOLE)
#else
#define work \
    (written < head && (at(written).word == 0 || at(written).word == WHOLE || dead_token(at(written).word)))
#endif

/* drain: ls_walk, from `written` to the first frame in flight. */
inline walk() {
    DO(end = head);
    to = written; /* the committer's alone */
    word = WHOLE;
    do
    :: to < end && word == WHOLE ->
        DO(word = at(to).word; assert(word != 0 && at(to).lsn == to)); /* it is sound */
#ifdef WALK_ON
        word = WHOLE;
#endif
        if :: word == WHOLE -> to++ :: else fi
    :: else -> break
    od;
    end = 0
}

/* committer: _unblock, and ring: ls_abort. */
inline abort_if_dead() {
    ask_whether_dead(word);
#ifdef NO_ABORT
    dead = 0;
#endif
#ifdef ABORT_THE_LIVING
    dead = 1;
#endif
#ifndef NO_SECOND_LOOK_AT_FRAME
    /* He may have published it before he died: between our look at the word and the one at him. */
    if :: dead -> DO(dead = (at(written).word == word)) :: else fi;
#endif
    if
    :: dead ->
        DO(at(written).payload = 0; at(written).abort = true);
        /* abort.zeroed: a death here leaves it in flight, with its dead owner. */
        DO(at(written).word = WHOLE)
    :: else
    fi;
    dead = 0
}

/* One frame of the extent reaches its place in the file. */
inline write_frame(lsn) {
    DO(assert(at(lsn).lsn == lsn && at(lsn).seq == lsn + 1); /* seqs: dense, unique, in LSN order */
       assert(at(lsn).abort || (at(lsn).payload != 0 && at(lsn).payload == acked[lsn]));
       assert(!at(lsn).abort || acked[lsn] == 0); /* what was acknowledged is kept */
       value = 1 + (at(lsn).abort -> 0 : at(lsn).payload);
       assert(file[lsn] == 0 || file[lsn] == value); /* a successor writes the same */
       file[lsn] = value;
       value = 0)
}

/* What is behind `written` for good need not be told apart any more: fewer states. */
inline forget(until) {
    do
    :: until > 0 && file[until - 1] != 0 -> until--; file[until] = 0; acked[until] = 0
    :: else -> break
    od
}

proctype committer() {
    byte end, to, word, lsn, value;
    bit in_guard, dead, idle;
    byte self = COMMITTER;

start:
    held[COMMITTER] = true;
    do
#ifdef ANY_TIME
    :: written < head ->
#else
    :: written < head && (!idle || work) -> /* the first look is free, the next one waits for work */
#endif
        idle = 0;
        walk();
        if
        :: to > written ->
            word = 0;
            DO(if :: to > published -> published = to :: else fi);
            lsn = written;
            do
            :: lsn < to -> write_frame(lsn); lsn++
            :: else -> lsn = 0; break
            od;
            DO(assert(to <= published && to <= head);
               written = to;
               forget(to));
            to = 0
        :: else ->
            to = 0;
            abort_if_dead();
            word = 0;
            idle = 1
        fi
    :: over == WRITERS && written == head -> break
    od;
    held[COMMITTER] = false;
    assert(published == head);
    goto gone;

died:
    atomic { end = 0; to = 0; word = 0; lsn = 0; value = 0; dead = 0; idle = 0; goto start };
gone:
    skip
}

#ifndef NO_SUPERVISOR
proctype supervisor() {
    byte value, suspect;
    bit in_guard, dead, ours;
    byte self = SUPERVISOR;

start:
    held[SUPERVISOR] = true;
    do
    :: told ->
        DO(told = false);
        post() /* he may have died between taking a token and the guard */
#ifdef REPAIR_THE_LIVING
    :: owner != NOBODY -> repair_guard()
#else
#ifdef ANY_TIME
    :: owner != NOBODY -> repair_guard()
#else
    :: owner != NOBODY && dead_token(owner) -> repair_guard()
#endif
#endif
    :: over == WRITERS && owner == NOBODY && !told -> break
    od;
    held[SUPERVISOR] = false;
    /* All is mended: the next seq is the one behind the last frame. */
    assert(seq == head);
    goto gone;

died:
    atomic { value = 0; suspect = 0; dead = 0; ours = 0; goto start };
gone:
    skip
}
#endif

/* Whoever cannot go on for ever, and is not at his end, is found as an invalid end state. */
init {
    atomic {
        byte index = 0;
        select(budget : 0 .. CRASHES);
        do
        :: index < WRITERS -> run writer(index); index++
        :: else -> index = 0; break
        od;
        run committer();
#ifndef NO_SUPERVISOR
        held[SUPERVISOR] = true; /* it is there before the clients */
        run supervisor()
#endif
    }
}
