/* CRC-32C (Castagnoli), the checksum of every frame, header and footer.
 *
 * The running value has the meaning that the Python package `crc32c` gives it: start from 0 (or
 * from a salt), pass the result of one call as the value of the next, and the end is the checksum
 * of the bytes in a row. All functions may be called by any number of threads at once, but not
 * from another constructor function: the tables are built when the library is loaded.
 */
#ifndef LS_CRC32C_H
#define LS_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Continue `value` over `length` bytes, with the processor's instruction where there is one. */
uint32_t ls_crc32c(uint32_t value, const void *bytes, size_t length);

/* Continue `value` over a 4-byte word, the 24 bytes at `words` and then `length` bytes: a frame's
 * checksum in one go. On short frames the calls cost more than the bytes. */
uint32_t ls_crc32c_frame(uint32_t value, uint32_t first, const void *words, const void *bytes,
                         size_t length);

/* The same result as ls_crc32c from tables alone: for processors without the instruction, and for tests. */
uint32_t ls_crc32c_portable(uint32_t value, const void *bytes, size_t length);

/* Whether ls_crc32c uses the processor's instruction on this machine. */
bool ls_crc32c_hardware(void);

#endif
