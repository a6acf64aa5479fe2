/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/record.h"

#include <string.h>

static void test_crc_known_value(void **state)
{
    /* The check value of CRC-32C in RFC 3720, B.4. */
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
}

/* A record of one piece. */
static void append(struct buf *out, uint8_t type, const void *body, size_t n)
{
    unsigned char header[RECORD_HEADER_SIZE];
    struct iovec piece = {(void *)(uintptr_t)body, n};
    record_header(header, 1, type, &piece, 1);
    buf_add(out, header, sizeof header);
    buf_add(out, body, n);
}

static void test_round_trip(void **state)
{
    auto_buf b = BUF_INIT;
    append(&b, 7, "hello", 5);
    append(&b, 8, "", 0);
    struct record r;
    assert_int_equal(record_parse(b.data, b.len, &r), RECORD_OK);
    assert_int_equal(r.type, 7);
    assert_int_equal(r.len, 5);
    assert_memory_equal(r.body, "hello", 5);
    size_t first = r.size;
    assert_int_equal(record_parse(b.data + first, b.len - first, &r), RECORD_OK);
    assert_int_equal(r.type, 8);
    assert_int_equal(r.len, 0);
}

static void test_torn_at_every_byte(void **state)
{
    auto_buf b = BUF_INIT;
    append(&b, 1, "0123456789", 10);
    struct record r;
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(record_parse(b.data, n, &r), RECORD_SHORT);
}

static void test_every_flipped_bit_is_found(void **state)
{
    auto_buf b = BUF_INIT;
    append(&b, 1, "0123456789", 10);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        struct record r;
        assert_int_not_equal(record_parse(b.data, b.len, &r), RECORD_OK);
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_known_value),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_torn_at_every_byte),
        cmocka_unit_test(test_every_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
