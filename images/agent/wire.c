// SPDX-License-Identifier: MIT
/* Numbers are little-endian, byte strings are prefixed by a u32 length. */
#include "agent.h"

#include <stdlib.h>
#include <string.h>

void buffer_reset(struct buffer *b, size_t size)
{
	b->size = size;
	b->failed = 0;
}

void put_raw(struct buffer *b, const void *data, size_t size)
{
	if (b->failed)
		return;
	if (size > FRAME_LIMIT || b->size + size > FRAME_LIMIT) {
		b->failed = 1;
		return;
	}
	if (b->size + size > b->room) {
		size_t room = b->room ? b->room : 4096;
		while (room < b->size + size)
			room *= 2;
		unsigned char *grown = realloc(b->data, room);
		if (!grown) {
			b->failed = 1;
			return;
		}
		b->data = grown;
		b->room = room;
	}
	if (size)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

static void put_number(struct buffer *b, uint64_t value, int size)
{
	unsigned char raw[8];

	for (int i = 0; i < size; i++)
		raw[i] = (unsigned char)(value >> (8 * i));
	put_raw(b, raw, (size_t)size);
}

void put_u8(struct buffer *b, uint8_t value)
{
	put_number(b, value, 1);
}

void put_u32(struct buffer *b, uint32_t value)
{
	put_number(b, value, 4);
}

void put_u64(struct buffer *b, uint64_t value)
{
	put_number(b, value, 8);
}

void put_bytes(struct buffer *b, const void *data, size_t size)
{
	put_u32(b, (uint32_t)size);
	put_raw(b, data, size);
}

void put_text(struct buffer *b, const char *text)
{
	put_bytes(b, text, strlen(text));
}

void patch_u32(struct buffer *b, size_t at, uint32_t value)
{
	if (at + 4 > b->size)
		return;
	for (int i = 0; i < 4; i++)
		b->data[at + (size_t)i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_number(struct reader *r, int size)
{
	uint64_t value = 0;

	if (r->bad || r->end - r->at < size) {
		r->bad = 1;
		return 0;
	}
	for (int i = 0; i < size; i++)
		value |= (uint64_t)r->at[i] << (8 * i);
	r->at += size;
	return value;
}

uint8_t get_u8(struct reader *r)
{
	return (uint8_t)get_number(r, 1);
}

uint32_t get_u32(struct reader *r)
{
	return (uint32_t)get_number(r, 4);
}

uint64_t get_u64(struct reader *r)
{
	return get_number(r, 8);
}

const unsigned char *get_bytes(struct reader *r, size_t *size)
{
	const unsigned char *bytes;

	*size = get_u32(r);
	if (r->bad || (size_t)(r->end - r->at) < *size) {
		r->bad = 1;
		*size = 0;
		return r->end;
	}
	bytes = r->at;
	r->at += *size;
	return bytes;
}

void get_text(struct reader *r, char *text, size_t room)
{
	size_t size;
	const unsigned char *bytes = get_bytes(r, &size);

	if (size >= room || memchr(bytes, 0, size)) {
		r->bad = 1;
		size = 0;
	}
	memcpy(text, bytes, size);
	text[size] = 0;
}

int reader_done(const struct reader *r)
{
	return !r->bad && r->at == r->end;
}
