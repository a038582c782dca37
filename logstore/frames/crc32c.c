/* CRC-32C by the processor's instruction (SSE4.2, or the CRC extension of ARMv8), else by tables.
 *
 * One CRC instruction takes 8 bytes and has a latency of 3 cycles but a throughput of one a cycle,
 * so a long input is cut into three lanes that advance side by side. A lane's checksum is moved
 * past the bytes of the lanes behind it by a multiplication with x^(8 * bytes) modulo the
 * polynomial; for the two lane lengths in use that product is read from tables. Short inputs,
 * which most frames are, go through one plain loop.
 *
 * Inside this file a "state" is the complemented running value, bits reversed as the instruction
 * has them: the most significant bit is the coefficient of x^0.
 */
#include "frames/crc32c.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the checksum reads words as little-endian"
#endif

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP_WORD(state, word) _mm_crc32_u64(state, word)
#define STEP_HALF(state, half) _mm_crc32_u32((uint32_t)(state), half)
#define STEP_BYTE(state, byte) _mm_crc32_u8((uint32_t)(state), byte)
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define HARDWARE __attribute__((target("+crc")))
#define STEP_WORD(state, word) __crc32cd((uint32_t)(state), word)
#define STEP_HALF(state, half) __crc32cw((uint32_t)(state), half)
#define STEP_BYTE(state, byte) __crc32cb((uint32_t)(state), byte)
#endif

#define POLYNOMIAL 0x82F63B78u /* CRC-32C, reversed */
#define LONG_LANE 4096
#define SHORT_LANE 128

/* slices[k][b]: the state that byte b leaves after k more zero bytes. */
static uint32_t slices[8][256];

/* past[k][b]: b << (8 * k), moved past a lane's length of zero bytes. */
struct shift {
    uint32_t past[4][256];
};

static struct shift long_shift;
static struct shift short_shift;
static bool hardware;

/* Multiply two states as polynomials, modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = (b >> 1) ^ ((b & 1) ? POLYNOMIAL : 0);
    }
    return product;
}

/* x^(8 * length): what moves a state past `length` zero bytes. */
static uint32_t power_of_bytes(size_t length)
{
    uint32_t power = 0x80000000u >> 8; /* x^8 */
    uint32_t product = 0x80000000u;    /* x^0 */

    for (; length != 0; length >>= 1) {
        if (length & 1)
            product = multiply(product, power);
        power = multiply(power, power);
    }
    return product;
}

static void build_shift(struct shift *shift, size_t length)
{
    uint32_t power = power_of_bytes(length);

    for (int k = 0; k < 4; k++) {
        uint32_t *row = shift->past[k];
        for (uint32_t b = 1; b < 256; b++) {
            uint32_t rest = b & (b - 1);
            /* The move is linear: only single bits need the slow product. */
            row[b] = rest ? row[rest] ^ row[b ^ rest] : multiply(b << (8 * k), power);
        }
    }
}

static void build_slices(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t state = b;
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ ((state & 1) ? POLYNOMIAL : 0);
        slices[0][b] = state;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            slices[k][b] = (slices[k - 1][b] >> 8) ^ slices[0][slices[k - 1][b] & 0xFF];
}

static bool hardware_present(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1UL << 7)) != 0; /* HWCAP_CRC32 */
#else
    return false;
#endif
}

/* Runs while the library is loaded, before any thread can call: no lock and no check on the way. */
__attribute__((constructor)) static void build_tables(void)
{
    build_slices();
    build_shift(&long_shift, LONG_LANE);
    build_shift(&short_shift, SHORT_LANE);
    hardware = hardware_present();
}

static inline uint64_t load_word(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

static uint32_t portable(uint32_t state, const unsigned char *at, size_t length)
{
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word = load_word(at) ^ state;
        state = slices[7][word & 0xFF] ^ slices[6][(word >> 8) & 0xFF] ^
                slices[5][(word >> 16) & 0xFF] ^ slices[4][(word >> 24) & 0xFF] ^
                slices[3][(word >> 32) & 0xFF] ^ slices[2][(word >> 40) & 0xFF] ^
                slices[1][(word >> 48) & 0xFF] ^ slices[0][word >> 56];
    }
    for (; length != 0; at++, length--)
        state = (state >> 8) ^ slices[0][(state ^ *at) & 0xFF];
    return state;
}

#ifdef HARDWARE
static inline uint32_t move_past(const struct shift *shift, uint64_t state)
{
    return shift->past[0][state & 0xFF] ^ shift->past[1][(state >> 8) & 0xFF] ^
           shift->past[2][(state >> 16) & 0xFF] ^ shift->past[3][(state >> 24) & 0xFF];
}

HARDWARE static inline uint64_t four_words(uint64_t state, const unsigned char *at)
{
    state = STEP_WORD(state, load_word(at));
    state = STEP_WORD(state, load_word(at + 8));
    state = STEP_WORD(state, load_word(at + 16));
    return STEP_WORD(state, load_word(at + 24));
}

/* One block of three lanes of `lane` bytes each. */
HARDWARE static inline uint64_t three_lanes(uint64_t state, const unsigned char *at, size_t lane,
                                            const struct shift *shift)
{
    uint64_t second = 0;
    uint64_t third = 0;

    for (const unsigned char *end = at + lane; at != end; at += 8) {
        state = STEP_WORD(state, load_word(at));
        second = STEP_WORD(second, load_word(at + lane));
        third = STEP_WORD(third, load_word(at + 2 * lane));
    }
    state = move_past(shift, state) ^ second;
    return move_past(shift, state) ^ third;
}

/* All but the last few bytes of a long input; says how many that were. */
HARDWARE static uint64_t by_lanes(uint64_t state, const unsigned char *at, size_t length, size_t *used)
{
    size_t left = length;

    for (; left >= 3 * LONG_LANE; at += 3 * LONG_LANE, left -= 3 * LONG_LANE)
        state = three_lanes(state, at, LONG_LANE, &long_shift);
    for (; left >= 3 * SHORT_LANE; at += 3 * SHORT_LANE, left -= 3 * SHORT_LANE)
        state = three_lanes(state, at, SHORT_LANE, &short_shift);
    *used = length - left;
    return state;
}

HARDWARE static inline uint32_t by_instruction(uint64_t state, const unsigned char *at, size_t length)
{
    if (length >= 3 * SHORT_LANE) {
        size_t used;
        state = by_lanes(state, at, length, &used);
        at += used;
        length -= used;
    }
    for (; length >= 32; at += 32, length -= 32)
        state = four_words(state, at);
    for (; length >= 8; at += 8, length -= 8)
        state = STEP_WORD(state, load_word(at));
    if (length & 4) {
        uint32_t half;
        memcpy(&half, at, sizeof half);
        state = STEP_HALF(state, half);
        at += 4;
    }
    for (length &= 3; length != 0; at++, length--)
        state = STEP_BYTE(state, *at);
    return (uint32_t)state;
}

HARDWARE static uint32_t frame_by_instruction(uint32_t state, uint32_t first,
                                              const unsigned char *words, const unsigned char *at,
                                              size_t length)
{
    uint64_t wide = STEP_HALF(state, first);

    wide = STEP_WORD(wide, load_word(words));
    wide = STEP_WORD(wide, load_word(words + 8));
    wide = STEP_WORD(wide, load_word(words + 16));
    return by_instruction(wide, at, length);
}
#endif

uint32_t ls_crc32c(uint32_t value, const void *bytes, size_t length)
{
#ifdef HARDWARE
    if (__builtin_expect(hardware, true))
        return ~by_instruction((uint32_t)~value, bytes, length);
#endif
    return ~portable(~value, bytes, length);
}

uint32_t ls_crc32c_frame(uint32_t value, uint32_t first, const void *words, const void *bytes,
                         size_t length)
{
    uint32_t state = ~value;

#ifdef HARDWARE
    if (__builtin_expect(hardware, true))
        return ~frame_by_instruction(state, first, words, bytes, length);
#endif
    state = portable(state, (const unsigned char *)&first, sizeof first);
    return ~portable(portable(state, words, 24), bytes, length);
}

uint32_t ls_crc32c_portable(uint32_t value, const void *bytes, size_t length)
{
    return ~portable(~value, bytes, length);
}

bool ls_crc32c_hardware(void)
{
    return hardware;
}
