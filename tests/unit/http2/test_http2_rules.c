#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* What RFC 9113 says a receiver MUST do, each rule with its section: frames that break it, sent to
 * a client or a server that has shaken hands, and what comes of it. Each case is fed whole, byte by
 * byte, and in other pieces. */

#define DATA FLETCH_HTTP2_DATA
#define HEADERS FLETCH_HTTP2_HEADERS
#define PRIORITY FLETCH_HTTP2_PRIORITY
#define RST_STREAM FLETCH_HTTP2_RST_STREAM
#define SETTINGS FLETCH_HTTP2_SETTINGS
#define PUSH_PROMISE FLETCH_HTTP2_PUSH_PROMISE
#define PING FLETCH_HTTP2_PING
#define GOAWAY FLETCH_HTTP2_GOAWAY
#define UPDATE FLETCH_HTTP2_WINDOW_UPDATE
#define CONTINUATION FLETCH_HTTP2_CONTINUATION
#define END FLETCH_HTTP2_END_STREAM
#define WHOLE FLETCH_HTTP2_END_HEADERS

enum side { CLIENT, SERVER };
enum outcome { FINE, STREAM, CONNECTION };

/* A frame; `text` of LENGTH_OF_TEXT bytes by default, or fields of headers. */
struct step {
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    uint32_t length; /* of zeros where there is no text */
    const char *text;
    const char *const *fields;
};

struct rule {
    const char *section;
    const char *says;
    enum side side;
    enum outcome outcome;
    uint32_t code;
    struct step steps[5]; /* until one that is all zero */
};

#define FIELDS(...) \
    .fields = (const char *const[]) \
    { \
        __VA_ARGS__, NULL \
    }
#define REQUEST .fields = request_fields
#define RESPONSE .fields = response_fields
#define GET(...) FIELDS(":method=GET", ":scheme=http", ":path=/", __VA_ARGS__)
#define TEXT(bytes) .text = (bytes), .length = sizeof(bytes) - 1
#define ZEROS(bytes) .length = (bytes)
#define OPEN \
    { \
        HEADERS, WHOLE, 1, REQUEST \
    }
#define OPEN_ENDED \
    { \
        HEADERS, WHOLE | END, 1, REQUEST \
    }
#define BAD FLETCH_HTTP2_PROTOCOL_ERROR
#define SIZE FLETCH_HTTP2_FRAME_SIZE_ERROR
#define FLOW FLETCH_HTTP2_FLOW_CONTROL_ERROR
#define SHUT FLETCH_HTTP2_STREAM_CLOSED

/* A client has opened stream 1 without ending it; a server has seen nothing. */
static const struct rule rules[] = {
    {"3.4", "the first frame is SETTINGS", SERVER, FINE, 0, {OPEN}},
    {"4.1",
     "frames of unknown types are ignored",
     SERVER,
     FINE,
     0,
     {{77, 255, 9, ZEROS(10)}, OPEN}},
    {"4.1", "unknown flags are ignored", SERVER, FINE, 0, {{PING, 0xfe, 0, ZEROS(8)}, OPEN}},
    {"4.1",
     "the reserved bit is ignored",
     SERVER,
     FINE,
     0,
     {{PING, 0, 0x80000000, ZEROS(8)}, OPEN}},
    {"4.2",
     "a frame above MAX_FRAME_SIZE",
     SERVER,
     CONNECTION,
     SIZE,
     {OPEN, {DATA, 0, 1, ZEROS(70000)}}},
    {"4.2", "an unknown frame above it too", SERVER, CONNECTION, SIZE, {{99, 0, 0, ZEROS(70000)}}},
    {"4.3",
     "a block that cannot be decoded",
     SERVER,
     CONNECTION,
     FLETCH_HTTP2_COMPRESSION_ERROR,
     {{HEADERS, WHOLE, 1, TEXT("\xff\xff\xff\xff\xff\xff")}}},
    {"4.3",
     "another frame within a block",
     SERVER,
     CONNECTION,
     BAD,
     {{HEADERS, 0, 1, REQUEST}, {PING, 0, 0, ZEROS(8)}}},
    {"4.3",
     "an unknown frame within a block",
     SERVER,
     CONNECTION,
     BAD,
     {{HEADERS, 0, 1, REQUEST}, {99, 0, 1, ZEROS(0)}}},
    {"4.3",
     "a block of another stream within a block",
     SERVER,
     CONNECTION,
     BAD,
     {{HEADERS, 0, 1, REQUEST}, {CONTINUATION, WHOLE, 3, ZEROS(0)}}},
    {"5.1", "DATA on an idle stream", SERVER, CONNECTION, BAD, {{DATA, 0, 1, ZEROS(1)}}},
    {"5.1",
     "RST_STREAM on an idle stream",
     SERVER,
     CONNECTION,
     BAD,
     {{RST_STREAM, 0, 1, ZEROS(4)}}},
    {"5.1",
     "WINDOW_UPDATE on an idle stream",
     SERVER,
     CONNECTION,
     BAD,
     {{UPDATE, 0, 1, TEXT("\0\0\0\1")}}},
    {"5.1", "PRIORITY on an idle stream", SERVER, FINE, 0, {{PRIORITY, 0, 1, ZEROS(5)}, OPEN}},
    {"5.1", "DATA after END_STREAM", SERVER, STREAM, SHUT, {OPEN_ENDED, {DATA, 0, 1, ZEROS(1)}}},
    {"5.1", "HEADERS after END_STREAM", SERVER, STREAM, SHUT, {OPEN_ENDED, OPEN_ENDED}},
    {"5.1",
     "WINDOW_UPDATE after END_STREAM",
     SERVER,
     FINE,
     0,
     {OPEN_ENDED, {UPDATE, 0, 1, TEXT("\0\0\0\1")}}},
    {"5.1", "PRIORITY after END_STREAM", SERVER, FINE, 0, {OPEN_ENDED, {PRIORITY, 0, 1, ZEROS(5)}}},
    {"5.1",
     "HEADERS on a stream that the peer has reset",
     SERVER,
     CONNECTION,
     SHUT,
     {OPEN, {RST_STREAM, 0, 1, ZEROS(4)}, OPEN}},
    {"5.1",
     "WINDOW_UPDATE on a stream that the peer has reset",
     SERVER,
     FINE,
     0,
     {OPEN, {RST_STREAM, 0, 1, ZEROS(4)}, {UPDATE, 0, 1, TEXT("\0\0\0\1")}}},
    {"5.1.1",
     "a client opens a stream of even number",
     SERVER,
     CONNECTION,
     BAD,
     {{HEADERS, WHOLE, 2, REQUEST}}},
    {"5.1.1", "a server opens a stream", CLIENT, CONNECTION, BAD, {{HEADERS, WHOLE, 2, RESPONSE}}},
    {"5.1.1",
     "a server answers what was not asked",
     CLIENT,
     CONNECTION,
     BAD,
     {{HEADERS, WHOLE, 3, RESPONSE}}},
    {"5.1.1",
     "a number below one that was used",
     SERVER,
     CONNECTION,
     SHUT,
     {{HEADERS, WHOLE, 5, REQUEST}, {HEADERS, WHOLE, 3, REQUEST}}},
    {"5.5", "an unknown frame on a stream", SERVER, FINE, 0, {OPEN, {0xa0, 0, 1, ZEROS(3)}}},
    {"6.1", "DATA on stream 0", SERVER, CONNECTION, BAD, {{DATA, 0, 0, ZEROS(1)}}},
    {"6.1",
     "padding as long as the payload",
     SERVER,
     CONNECTION,
     BAD,
     {OPEN, {DATA, FLETCH_HTTP2_PADDED, 1, TEXT("\4abc")}}},
    {"6.1",
     "padding that fits",
     SERVER,
     FINE,
     0,
     {OPEN, {DATA, FLETCH_HTTP2_PADDED, 1, TEXT("\3a\0\0\0")}}},
    {"6.1",
     "padding without room for its length",
     SERVER,
     CONNECTION,
     SIZE,
     {OPEN, {DATA, FLETCH_HTTP2_PADDED, 1, ZEROS(0)}}},
    {"6.2", "HEADERS on stream 0", SERVER, CONNECTION, BAD, {{HEADERS, WHOLE, 0, REQUEST}}},
    {"6.2",
     "padding as long as the headers",
     SERVER,
     CONNECTION,
     BAD,
     {{HEADERS, WHOLE | FLETCH_HTTP2_PADDED, 1, TEXT("\4\0\0\0")}}},
    {"6.2",
     "priority without room for it",
     SERVER,
     CONNECTION,
     SIZE,
     {{HEADERS, WHOLE | FLETCH_HTTP2_HAS_PRIORITY, 1, ZEROS(4)}}},
    {"6.3", "PRIORITY on stream 0", SERVER, CONNECTION, BAD, {{PRIORITY, 0, 0, ZEROS(5)}}},
    {"6.3", "PRIORITY of another length", SERVER, STREAM, SIZE, {OPEN, {PRIORITY, 0, 1, ZEROS(4)}}},
    {"6.4", "RST_STREAM on stream 0", SERVER, CONNECTION, BAD, {{RST_STREAM, 0, 0, ZEROS(4)}}},
    {"6.4",
     "RST_STREAM of another length",
     SERVER,
     CONNECTION,
     SIZE,
     {OPEN, {RST_STREAM, 0, 1, ZEROS(5)}}},
    {"6.5", "SETTINGS on a stream", SERVER, CONNECTION, BAD, {{SETTINGS, 0, 1, ZEROS(0)}}},
    {"6.5", "SETTINGS that are no entries", SERVER, CONNECTION, SIZE, {{SETTINGS, 0, 0, ZEROS(7)}}},
    {"6.5",
     "an answer to SETTINGS with a payload",
     SERVER,
     CONNECTION,
     SIZE,
     {{SETTINGS, FLETCH_HTTP2_ACK, 0, ZEROS(6)}}},
    {"6.5.2",
     "ENABLE_PUSH of 2",
     SERVER,
     CONNECTION,
     BAD,
     {{SETTINGS, 0, 0, TEXT("\0\2\0\0\0\2")}}},
    {"6.5.2",
     "ENABLE_PUSH of a server",
     CLIENT,
     CONNECTION,
     BAD,
     {{SETTINGS, 0, 0, TEXT("\0\2\0\0\0\1")}}},
    {"6.5.2",
     "INITIAL_WINDOW_SIZE above 2^31 - 1",
     SERVER,
     CONNECTION,
     FLOW,
     {{SETTINGS, 0, 0, TEXT("\0\4\x80\0\0\0")}}},
    {"6.5.2",
     "MAX_FRAME_SIZE below 16384",
     SERVER,
     CONNECTION,
     BAD,
     {{SETTINGS, 0, 0, TEXT("\0\5\0\0\x3f\xff")}}},
    {"6.5.2",
     "MAX_FRAME_SIZE above 2^24 - 1",
     SERVER,
     CONNECTION,
     BAD,
     {{SETTINGS, 0, 0, TEXT("\0\5\1\0\0\0")}}},
    {"6.5.2",
     "an unknown setting is ignored",
     SERVER,
     FINE,
     0,
     {{SETTINGS, 0, 0, TEXT("\xfe\x03\0\0\0\1")}, OPEN}},
    {"6.6",
     "PUSH_PROMISE where it was forbidden",
     CLIENT,
     CONNECTION,
     BAD,
     {{PUSH_PROMISE, WHOLE, 1, TEXT("\0\0\0\2")}}},
    {"8.4",
     "PUSH_PROMISE of a client",
     SERVER,
     CONNECTION,
     BAD,
     {OPEN, {PUSH_PROMISE, WHOLE, 1, TEXT("\0\0\0\2")}}},
    {"6.7", "PING on a stream", SERVER, CONNECTION, BAD, {{PING, 0, 1, ZEROS(8)}}},
    {"6.7", "PING of another length", SERVER, CONNECTION, SIZE, {{PING, 0, 0, ZEROS(7)}}},
    {"6.8", "GOAWAY on a stream", SERVER, CONNECTION, BAD, {{GOAWAY, 0, 1, ZEROS(8)}}},
    {"6.8",
     "GOAWAY that raises the last stream",
     CLIENT,
     CONNECTION,
     BAD,
     {{GOAWAY, 0, 0, TEXT("\0\0\0\1\0\0\0\0")}, {GOAWAY, 0, 0, TEXT("\0\0\0\3\0\0\0\0")}}},
    {"6.8", "GOAWAY with text", CLIENT, FINE, 0, {{GOAWAY, 0, 0, TEXT("\0\0\0\7\0\0\0\0hello")}}},
    {"6.9",
     "WINDOW_UPDATE of the connection by 0",
     SERVER,
     CONNECTION,
     BAD,
     {{UPDATE, 0, 0, ZEROS(4)}}},
    {"6.9",
     "WINDOW_UPDATE of a stream by 0",
     SERVER,
     STREAM,
     BAD,
     {OPEN, {UPDATE, 0, 1, ZEROS(4)}}},
    {"6.9",
     "WINDOW_UPDATE of another length",
     SERVER,
     CONNECTION,
     SIZE,
     {{UPDATE, 0, 0, ZEROS(5)}}},
    {"6.9.1",
     "the connection's window beyond 2^31 - 1",
     SERVER,
     CONNECTION,
     FLOW,
     {{UPDATE, 0, 0, TEXT("\x7f\xff\xff\xff")}}},
    {"6.9.1",
     "a stream's window beyond 2^31 - 1",
     SERVER,
     STREAM,
     FLOW,
     {OPEN, {UPDATE, 0, 1, TEXT("\x7f\xff\xff\xff")}}},
    {"6.9.2",
     "SETTINGS move a window beyond 2^31 - 1",
     SERVER,
     CONNECTION,
     FLOW,
     {OPEN, {UPDATE, 0, 1, TEXT("\0\0\0\1")}, {SETTINGS, 0, 0, TEXT("\0\4\x7f\xff\xff\xff")}}},
    {"6.9.1",
     "DATA beyond a stream's window",
     SERVER,
     STREAM,
     FLOW,
     {OPEN, {DATA, 0, 1, ZEROS(65536)}, {DATA, 0, 1, ZEROS(16384)}}},
    {"6.10",
     "CONTINUATION without headers",
     SERVER,
     CONNECTION,
     BAD,
     {OPEN, {CONTINUATION, WHOLE, 1, ZEROS(0)}}},
    {"6.10",
     "CONTINUATION on stream 0",
     SERVER,
     CONNECTION,
     BAD,
     {{CONTINUATION, WHOLE, 0, ZEROS(0)}}},
    {"6.10",
     "a block in two frames",
     SERVER,
     FINE,
     0,
     {{HEADERS, 0, 1, REQUEST}, {CONTINUATION, WHOLE, 1, FIELDS("a=b")}}},
    {"8.1",
     "trailers without END_STREAM",
     SERVER,
     STREAM,
     BAD,
     {OPEN, {HEADERS, WHOLE, 1, FIELDS("a=b")}}},
    {"8.1", "trailers", SERVER, FINE, 0, {OPEN, {HEADERS, WHOLE | END, 1, FIELDS("a=b")}}},
    {"8.1", "DATA before the response", CLIENT, STREAM, BAD, {{DATA, 0, 1, ZEROS(1)}}},
    {"8.1",
     "an interim response that ends its stream",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE | END, 1, FIELDS(":status=100")}}},
    {"8.1",
     "an interim response, then the final one",
     CLIENT,
     FINE,
     0,
     {{HEADERS, WHOLE, 1, FIELDS(":status=103")}, {HEADERS, WHOLE, 1, RESPONSE}}},
    {"8.1.1",
     "fewer bytes than content-length",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("content-length=3")}, {DATA, END, 1, ZEROS(2)}}},
    {"8.1.1",
     "more bytes than content-length",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("content-length=3")}, {DATA, 0, 1, ZEROS(4)}}},
    {"8.1.1",
     "no bytes in spite of content-length",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE | END, 1, GET("content-length=3")}}},
    {"8.1.1",
     "trailers before content-length",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("content-length=3")}, {HEADERS, WHOLE | END, 1, FIELDS("a=b")}}},
    {"8.1.1",
     "as many bytes as content-length",
     SERVER,
     FINE,
     0,
     {{HEADERS, WHOLE, 1, GET("content-length=3")}, {DATA, END, 1, ZEROS(3)}}},
    {"8.2.1", "an upper case name", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("Abc=d")}}},
    {"8.2.1", "a space in a name", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("a b=d")}}},
    {"8.2.1", "a name beyond ascii", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("\x80=d")}}},
    {"8.2.1", "a colon in a name", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("a:b=d")}}},
    {"8.2.1", "a line feed in a value", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("a=b\nc")}}},
    {"8.2.1",
     "a carriage return in a value",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("a=b\rc")}}},
    {"8.2.1",
     "a value that begins with a space",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("a= b")}}},
    {"8.2.1",
     "a value that ends with a tab",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("a=b\t")}}},
    {"8.2.2", "connection", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("connection=x")}}},
    {"8.2.2",
     "proxy-connection",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("proxy-connection=x")}}},
    {"8.2.2", "keep-alive", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("keep-alive=x")}}},
    {"8.2.2",
     "transfer-encoding",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("transfer-encoding=chunked")}}},
    {"8.2.2", "upgrade", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("upgrade=h2c")}}},
    {"8.2.2", "te other than trailers", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("te=gzip")}}},
    {"8.3", "an unknown pseudo-header", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET(":x=y")}}},
    {"8.3",
     "a pseudo-header after a field",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("a=b", ":authority=c")}}},
    {"8.3",
     "a pseudo-header in trailers",
     SERVER,
     STREAM,
     BAD,
     {OPEN, {HEADERS, WHOLE | END, 1, FIELDS(":path=/")}}},
    {"8.3",
     "a pseudo-header of a response in a request",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET(":status=200")}}},
    {"8.3",
     "a pseudo-header twice",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET(":method=GET")}}},
    {"8.3.1",
     "no :method",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":scheme=http", ":path=/")}}},
    {"8.3.1",
     "no :scheme",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=GET", ":path=/")}}},
    {"8.3.1",
     "no :path",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=GET", ":scheme=http")}}},
    {"8.3.1",
     "an empty :path",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=GET", ":scheme=http", ":path=")}}},
    {"8.3.1",
     "a :path that is no path",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=GET", ":scheme=http", ":path=a")}}},
    {"8.3.1",
     "OPTIONS for all of the server",
     SERVER,
     FINE,
     0,
     {{HEADERS, WHOLE, 1, FIELDS(":method=OPTIONS", ":scheme=http", ":path=*")}}},
    {"8.3.1",
     "a host that is not the :authority",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET(":authority=a", "host=b")}}},
    {"8.3.2", "no :status", CLIENT, STREAM, BAD, {{HEADERS, WHOLE, 1, FIELDS("a=b")}}},
    {"8.3.2",
     "a :status that is no number",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=2x0")}}},
    {"8.5",
     "CONNECT with a :path",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=CONNECT", ":authority=a:1", ":path=/")}}},
    {"8.5",
     "CONNECT",
     SERVER,
     FINE,
     0,
     {{HEADERS, WHOLE, 1, FIELDS(":method=CONNECT", ":authority=a:1")}}},
    {"8.6",
     "101 does not exist",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=101")}}},
    {"5.4.2",
     "RST_STREAM is not answered by one",
     SERVER,
     FINE,
     0,
     {OPEN, {RST_STREAM, 0, 1, ZEROS(4)}, {RST_STREAM, 0, 1, ZEROS(4)}}},
    {"6.5.3",
     "of a setting that comes twice the last one counts",
     SERVER,
     FINE,
     0,
     {{SETTINGS, 0, 0, TEXT("\0\5\0\1\0\0\0\5\0\0\x40\0")}, OPEN}},
    {"6.5.3",
     "each one is looked at all the same",
     SERVER,
     CONNECTION,
     BAD,
     {{SETTINGS, 0, 0, TEXT("\0\5\0\0\0\0\0\5\0\0\x40\0")}}},
    {"6.6",
     "PUSH_PROMISE on stream 0",
     CLIENT,
     CONNECTION,
     BAD,
     {{PUSH_PROMISE, WHOLE, 0, TEXT("\0\0\0\2")}}},
    {"6.7", "an answer to no PING", SERVER, FINE, 0, {{PING, FLETCH_HTTP2_ACK, 0, ZEROS(8)}, OPEN}},
    {"6.8", "GOAWAY too short", SERVER, CONNECTION, SIZE, {{GOAWAY, 0, 0, ZEROS(7)}}},
    {"6.9",
     "WINDOW_UPDATE of a stream of another length",
     SERVER,
     CONNECTION,
     SIZE,
     {OPEN, {UPDATE, 0, 1, ZEROS(3)}}},
    {"6.9",
     "the reserved bit of an increment is ignored",
     SERVER,
     FINE,
     0,
     {OPEN, {UPDATE, 0, 1, TEXT("\x80\0\0\1")}}},
    {"6.10",
     "CONTINUATION after the end of a block",
     SERVER,
     CONNECTION,
     BAD,
     {OPEN, {CONTINUATION, WHOLE, 1, FIELDS("a=b")}}},
    {"6.10",
     "DATA within a block",
     SERVER,
     CONNECTION,
     BAD,
     {OPEN, {HEADERS, 0, 3, REQUEST}, {DATA, 0, 1, ZEROS(1)}}},
    {"7",
     "an unknown code of RST_STREAM is one like others",
     SERVER,
     FINE,
     0,
     {OPEN, {RST_STREAM, 0, 1, TEXT("\xff\xff\0\0")}}},
    {"7",
     "an unknown code of GOAWAY too",
     CLIENT,
     FINE,
     0,
     {{GOAWAY, 0, 0, TEXT("\0\0\0\1\xff\xff\0\0")}}},
    {"8.1",
     "a response that was reset by NO_ERROR when it was complete",
     CLIENT,
     FINE,
     0,
     {{HEADERS, WHOLE, 1, RESPONSE}, {DATA, END, 1, ZEROS(3)}, {RST_STREAM, 0, 1, ZEROS(4)}}},
    {"8.1",
     "trailers of a response without END_STREAM",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, RESPONSE}, {HEADERS, WHOLE, 1, FIELDS("a=b")}}},
    {"8.1",
     "two final responses",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, RESPONSE}, {HEADERS, WHOLE | END, 1, RESPONSE}}},
    {"8.1",
     "headers after trailers",
     CLIENT,
     STREAM,
     SHUT,
     {{HEADERS, WHOLE, 1, RESPONSE},
      {HEADERS, WHOLE | END, 1, FIELDS("a=b")},
      {HEADERS, WHOLE | END, 1, FIELDS("a=b")}}},
    {"8.1.1",
     "more bytes than the content-length of a response",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=200", "content-length=1")}, {DATA, END, 1, ZEROS(2)}}},
    {"8.1.1",
     "a content-length that is no number",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("content-length=3x")}}},
    {"8.1.1",
     "two content-lengths that differ",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("content-length=3", "content-length=4")}}},
    {"8.2.1",
     "an empty name",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, TEXT("\x83\x86\x84\0\0\1b")}}},
    {"8.2.1",
     "a control character in a name",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("a\x01=b")}}},
    {"8.2.1", "0x7f in a name", SERVER, STREAM, BAD, {{HEADERS, WHOLE, 1, GET("a\x7f=b")}}},
    {"8.2.1",
     "a NUL in a value",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, TEXT("\x83\x86\x84\0\1a\3b\0c")}}},
    {"8.2.1",
     "a value that begins with a tab",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, GET("a=\tb")}}},
    {"8.2.1",
     "upper case in a response",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=200", "Abc=d")}}},
    {"8.2.1",
     "upper case in trailers",
     SERVER,
     STREAM,
     BAD,
     {OPEN, {HEADERS, WHOLE | END, 1, FIELDS("Abc=d")}}},
    {"8.2.2", "te of trailers", SERVER, FINE, 0, {{HEADERS, WHOLE, 1, GET("te=trailers")}}},
    {"8.2.2",
     "connection in a response",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=200", "connection=close")}}},
    {"8.2.2",
     "connection in trailers",
     SERVER,
     STREAM,
     BAD,
     {OPEN, {HEADERS, WHOLE | END, 1, FIELDS("connection=close")}}},
    {"8.3",
     "a pseudo-header of a request in a response",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=200", ":path=/")}}},
    {"8.3",
     "a pseudo-header after a field of a response",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS("a=b", ":status=200")}}},
    {"8.3",
     "a pseudo-header in trailers of a response",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, RESPONSE}, {HEADERS, WHOLE | END, 1, FIELDS(":status=200")}}},
    {"8.3.2",
     ":status twice",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=200", ":status=200")}}},
    {"8.3.2",
     "a :status of four digits",
     CLIENT,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":status=2000")}}},
    {"8.5",
     "CONNECT with a :scheme",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=CONNECT", ":authority=a:1", ":scheme=http")}}},
    {"8.5",
     "CONNECT without :authority",
     SERVER,
     STREAM,
     BAD,
     {{HEADERS, WHOLE, 1, FIELDS(":method=CONNECT")}}},
};

static void put_step(struct wire *wire, const struct step *step)
{
    static uint8_t payload[70000];
    struct fletch_http2_head head = {step->length, step->type, step->flags, step->id};
    memset(payload, 0, sizeof payload);
    if (step->fields != NULL)
        head.length = (uint32_t)wire_block(payload, step->fields);
    else if (step->text != NULL)
        memcpy(payload, step->text, step->length);
    wire_frame(wire, head, payload);
}

static void start(struct http2_user *user, enum side side)
{
    const struct fletch_http2_options options = {
        .is_server = side == SERVER, .frame_bytes = 65536, .stream_window_bytes = 70000};
    http2_user_ready(user, &options);
    user->is_slow = true;
    user->releases = false;
    if (side == SERVER)
        return;
    const struct fletch_http2_field fields[] = {fletch_http2_field_of(":method", "POST"),
                                                fletch_http2_field_of(":scheme", "http"),
                                                fletch_http2_field_of(":path", "/")};
    const struct fletch_http2_request request = {fields, 3, false};
    struct fletch_http2_stream *stream;
    assert_ok(fletch_http2_connection_open(user->connection, &request, &stream, NULL));
    http2_user_collect(user, 0);
    user->sent.count = 0;
}

/* What was sent because of it. */
static enum outcome outcome_of(struct http2_user *user, uint32_t *out_code)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_collect(user, 0);
    *out_code = 0;
    if (wire_find(&user->sent, GOAWAY, 0, &head, &payload)) {
        *out_code = fletch_http2_read_u32(payload + 4);
        assert_true(user->is_closed);
        assert_true(fletch_http2_connection_is_over(user->connection));
        return CONNECTION;
    }
    assert_false(user->is_closed);
    if (!wire_find(&user->sent, RST_STREAM, 0, &head, &payload))
        return FINE;
    *out_code = fletch_http2_read_u32(payload);
    return STREAM;
}

static void check_rule(const struct rule *rule, size_t chunk)
{
    struct http2_user user;
    struct wire wire;
    uint32_t code;
    start(&user, rule->side);
    wire_init(&wire);
    for (const struct step *step = rule->steps; step < rule->steps + 5; step++)
        if (step->length != 0 || step->id != 0 || step->type != 0 || step->flags != 0)
            put_step(&wire, step);
    http2_user_feed_wire(&user, &wire, chunk);
    enum outcome outcome = outcome_of(&user, &code);
    if (outcome != rule->outcome || code != rule->code)
        fail_msg("%s, %s: outcome %d with %s, expected %d with %s", rule->section, rule->says,
                 (int)outcome, fletch_http2_code_name(code), (int)rule->outcome,
                 fletch_http2_code_name(rule->code));
    wire_deinit(&wire);
    http2_user_end(&user);
}

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        for (size_t chunk = 0; chunk < 4; chunk++)
            check_rule(&rules[i], chunk == 3 ? 1009 : chunk);
}

static void test_first_frame_is_settings(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    const struct fletch_http2_options options = {.is_server = true};
    assert_true(http2_user_start(&user, &options, 0));
    wire_init(&wire);
    wire_preface(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(user.code, FLETCH_HTTP2_PROTOCOL_ERROR);
    http2_user_end(&user);

    static const struct fletch_http2_options client;
    assert_true(http2_user_start(&user, &client, 0));
    wire.count = 0;
    wire_u32_frame(&wire, UPDATE, 0, 1);
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(user.code, FLETCH_HTTP2_PROTOCOL_ERROR);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* 6.9.1: the connection's window. */
static void test_connection_window(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    const struct fletch_http2_options options = {
        .is_server = true, .connection_window_bytes = 65535, .stream_window_bytes = 1 << 20};
    http2_user_ready(&user, &options);
    wire_init(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    for (int i = 0; i < 4; i++)
        wire_data(&wire, 1, 0, 16384);
    http2_user_feed_wire(&user, &wire, 0);
    assert_true(user.is_closed);
    assert_int_equal(user.code, FLETCH_HTTP2_FLOW_CONTROL_ERROR);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* ---- states and events ---- */

static const char *const state_names[] = {
    "idle", "open", "half-closed (local)", "half-closed (remote)", "reset", "closed"};

/* Brings stream 1 of a server into a state, and forgets what was sent. */
static void enter(struct http2_user *user, enum fletch_http2_state state)
{
    struct wire wire;
    const struct fletch_http2_field status = fletch_http2_field_of(":status", "200");
    bool ends = state == FLETCH_HTTP2_HALF_CLOSED_REMOTE || state == FLETCH_HTTP2_CLOSED;
    start(user, SERVER);
    user->releases = true;
    wire_init(&wire);
    if (state != FLETCH_HTTP2_IDLE)
        wire_headers(&wire, 1, ends ? END : 0, request_fields);
    http2_user_feed_wire(user, &wire, 0);
    struct seen_stream *seen = http2_user_stream(user, 1);
    if (state == FLETCH_HTTP2_HALF_CLOSED_LOCAL || state == FLETCH_HTTP2_CLOSED)
        assert_ok(fletch_http2_stream_send_headers(seen->stream, &status, 1, true, NULL));
    if (state == FLETCH_HTTP2_RESET || state == FLETCH_HTTP2_CLOSED) {
        fletch_http2_stream_release(seen->stream);
        seen->stream = NULL;
    }
    http2_user_collect(user, 0);
    user->sent.count = 0;
    wire_deinit(&wire);
}

static void test_each_frame_in_each_state(void **state)
{
    (void)state;
    const struct step frames[] = {
        {DATA, 0, 1, ZEROS(1)},           {HEADERS, WHOLE | END, 1, FIELDS("a=b")},
        {PRIORITY, 0, 1, ZEROS(5)},       {RST_STREAM, 0, 1, ZEROS(4)},
        {UPDATE, 0, 1, TEXT("\0\0\0\1")}, {PUSH_PROMISE, WHOLE, 1, ZEROS(4)},
    };
    for (enum fletch_http2_state from = 0; from < FLETCH_HTTP2_STATES; from++)
        for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
            struct http2_user user;
            struct wire wire;
            uint32_t code;
            enum fletch_http2_rule rule =
                fletch_http2_frame_rule((enum fletch_http2_type)frames[i].type, from);
            enum outcome expected = rule == FLETCH_HTTP2_CONNECTION_ERROR ? CONNECTION
                                    : rule == FLETCH_HTTP2_STREAM_ERROR   ? STREAM
                                                                          : FINE;
            /* Trailers are no request. */
            if (frames[i].type == HEADERS && from == FLETCH_HTTP2_IDLE)
                expected = STREAM;
            enter(&user, from);
            wire_init(&wire);
            put_step(&wire, &frames[i]);
            http2_user_feed_wire(&user, &wire, 0);
            enum outcome outcome = outcome_of(&user, &code);
            if (outcome != expected)
                fail_msg("type %u in state %s: outcome %d, expected %d", frames[i].type,
                         state_names[from], (int)outcome, (int)expected);
            wire_deinit(&wire);
            http2_user_end(&user);
        }
}

/* Brings the stream that a client has opened into a state. */
static void enter_own(struct http2_user *user, enum fletch_http2_state state)
{
    struct wire wire;
    start(user, CLIENT);
    bool remote = state == FLETCH_HTTP2_HALF_CLOSED_REMOTE || state == FLETCH_HTTP2_CLOSED;
    bool local = state == FLETCH_HTTP2_HALF_CLOSED_LOCAL || state == FLETCH_HTTP2_CLOSED;
    struct fletch_http2_stream *stream = NULL;
    wire_init(&wire);
    wire_headers(&wire, 1, 0, response_fields);
    wire_frame(&wire, (struct fletch_http2_head){0, DATA, remote ? END : 0, 1}, NULL);
    http2_user_feed_wire(user, &wire, 0);
    stream = http2_user_stream(user, 1)->stream;
    if (local)
        fletch_http2_stream_send(stream, test_data(1, 0, true));
    if (state == FLETCH_HTTP2_RESET)
        fletch_http2_stream_reset(stream, FLETCH_HTTP2_CANCEL);
    http2_user_collect(user, 0);
    user->sent.count = 0;
    wire_deinit(&wire);
}

/* The same of a client, whose streams are its own. */
static void test_each_frame_in_each_state_of_a_client(void **state)
{
    (void)state;
    const struct step frames[] = {
        {DATA, 0, 1, ZEROS(1)},           {HEADERS, WHOLE | END, 1, FIELDS("a=b")},
        {PRIORITY, 0, 1, ZEROS(5)},       {RST_STREAM, 0, 1, ZEROS(4)},
        {UPDATE, 0, 1, TEXT("\0\0\0\1")}, {PUSH_PROMISE, WHOLE, 1, ZEROS(4)},
    };
    for (enum fletch_http2_state from = FLETCH_HTTP2_OPEN; from < FLETCH_HTTP2_STATES; from++)
        for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
            struct http2_user user;
            struct wire wire;
            uint32_t code;
            enum fletch_http2_rule rule =
                fletch_http2_frame_rule((enum fletch_http2_type)frames[i].type, from);
            enum outcome expected = rule == FLETCH_HTTP2_CONNECTION_ERROR ? CONNECTION
                                    : rule == FLETCH_HTTP2_STREAM_ERROR   ? STREAM
                                                                          : FINE;
            enter_own(&user, from);
            wire_init(&wire);
            put_step(&wire, &frames[i]);
            http2_user_feed_wire(&user, &wire, 0);
            enum outcome outcome = outcome_of(&user, &code);
            if (outcome != expected)
                fail_msg("type %u in state %s of a client: outcome %d, expected %d", frames[i].type,
                         state_names[from], (int)outcome, (int)expected);
            wire_deinit(&wire);
            http2_user_end(&user);
        }
}

/* What the user does, in each state of its stream. */
enum act { RESPOND, SEND, END_SENDING, SEND_TRAILERS, RESET, RELEASE, ACTS };
enum answer { WORKS, REFUSED, RESETS, NOTHING };
static const char *const act_names[ACTS] = {"respond",  "send",  "end",
                                            "trailers", "reset", "release"};

static const enum answer answers[FLETCH_HTTP2_STATES][ACTS] = {
    /* respond, send, end, trailers, reset, release */
    [FLETCH_HTTP2_OPEN] = {WORKS, WORKS, WORKS, WORKS, RESETS, RESETS},
    [FLETCH_HTTP2_HALF_CLOSED_REMOTE] = {WORKS, WORKS, WORKS, WORKS, RESETS, RESETS},
    /* A server that has answered all tells a peer that still sends to stop. */
    [FLETCH_HTTP2_HALF_CLOSED_LOCAL] = {REFUSED, REFUSED, REFUSED, REFUSED, RESETS, RESETS},
    [FLETCH_HTTP2_RESET] = {REFUSED, REFUSED, REFUSED, REFUSED, NOTHING, NOTHING},
    [FLETCH_HTTP2_CLOSED] = {REFUSED, REFUSED, REFUSED, REFUSED, NOTHING, NOTHING},
};

static enum answer act_on(struct http2_user *user, struct seen_stream *seen, enum act act)
{
    const struct fletch_http2_field status = fletch_http2_field_of(":status", "200");
    const struct fletch_http2_field field = fletch_http2_field_of("a", "b");
    enum fletch_status result = FLETCH_OK;
    struct fletch_http2_head head;
    const uint8_t *payload;
    uint32_t dropped = test_data_dropped;
    if (act == RESPOND)
        result = fletch_http2_stream_send_headers(seen->stream, &status, 1, false, NULL);
    else if (act == SEND || act == END_SENDING)
        fletch_http2_stream_send(seen->stream, test_data(5, 0, act == END_SENDING));
    else if (act == SEND_TRAILERS)
        result = fletch_http2_stream_send_trailers(seen->stream, &field, 1, NULL);
    else if (act == RESET)
        fletch_http2_stream_reset(seen->stream, FLETCH_HTTP2_CANCEL);
    if (act == RELEASE) {
        fletch_http2_stream_release(seen->stream);
        seen->stream = NULL;
    }
    http2_user_collect(user, 0);
    if (wire_find(&user->sent, RST_STREAM, 0, &head, &payload))
        return RESETS;
    if (result != FLETCH_OK || test_data_dropped != dropped) {
        assert_true(result == FLETCH_OK || result == FLETCH_FAILED_PRECONDITION);
        assert_int_equal(user->sent.count, 0);
        return REFUSED;
    }
    return user->sent.count == 0 ? NOTHING : WORKS;
}

static void test_each_act_in_each_state(void **state)
{
    (void)state;
    for (enum fletch_http2_state from = FLETCH_HTTP2_OPEN; from < FLETCH_HTTP2_STATES; from++)
        for (enum act act = RESPOND; act < ACTS; act++) {
            const struct fletch_http2_field status = fletch_http2_field_of(":status", "200");
            bool ended = from == FLETCH_HTTP2_HALF_CLOSED_REMOTE || from == FLETCH_HTTP2_CLOSED;
            bool answered = from == FLETCH_HTTP2_HALF_CLOSED_LOCAL || from == FLETCH_HTTP2_CLOSED;
            struct http2_user user;
            struct wire wire;
            start(&user, SERVER);
            wire_init(&wire);
            wire_headers(&wire, 1, ended ? END : 0, request_fields);
            http2_user_feed_wire(&user, &wire, 0);
            struct seen_stream *seen = http2_user_stream(&user, 1);
            if (answered || act != RESPOND)
                assert_ok(
                    fletch_http2_stream_send_headers(seen->stream, &status, 1, answered, NULL));
            if (from == FLETCH_HTTP2_RESET)
                fletch_http2_stream_reset(seen->stream, FLETCH_HTTP2_CANCEL);
            http2_user_collect(&user, 0);
            user.sent.count = 0;
            enum answer answer = act_on(&user, seen, act);
            if (answer != answers[from][act])
                fail_msg("%s in state %s: answer %d, expected %d", act_names[act],
                         state_names[from], (int)answer, (int)answers[from][act]);
            wire_deinit(&wire);
            http2_user_end(&user);
        }
}

/* Of streams that have gone, the last 1024 are told apart. */
static void test_closed_streams_are_told_apart(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    uint32_t code;
    enter(&user, FLETCH_HTTP2_RESET);
    wire_init(&wire);
    wire_headers(&wire, 2047, 0, request_fields);
    wire_headers(&wire, 1, END, request_fields); /* reset by us: dropped */
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(outcome_of(&user, &code), FINE);
    wire.count = 0;
    wire_headers(&wire, 2049, 0, request_fields);
    wire_headers(&wire, 1, END, request_fields); /* not known any more: dropped */
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(outcome_of(&user, &code), FINE);
    wire.count = 0;
    wire_headers(&wire, 3, END, request_fields); /* never opened */
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(outcome_of(&user, &code), CONNECTION);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* What we send keeps the rules too: a list that does not is refused, with the reason. */
static void test_own_headers_are_checked(void **state)
{
    (void)state;
    struct http2_user user;
    struct fletch_error error;
    struct fletch_http2_stream *stream = NULL;
    const struct fletch_http2_field bad[] = {
        fletch_http2_field_of(":method", "POST"), fletch_http2_field_of(":scheme", "http"),
        fletch_http2_field_of(":path", "/"), fletch_http2_field_of("Upper", "x")};
    const struct fletch_http2_request request = {bad, 4, false};
    http2_user_ready(&user, NULL);
    assert_int_equal(fletch_http2_connection_open(user.connection, &request, &stream, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "upper case");
    http2_user_end(&user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_first_frame_is_settings),
        cmocka_unit_test(test_connection_window),
        cmocka_unit_test(test_each_frame_in_each_state),
        cmocka_unit_test(test_each_frame_in_each_state_of_a_client),
        cmocka_unit_test(test_each_act_in_each_state),
        cmocka_unit_test(test_closed_streams_are_told_apart),
        cmocka_unit_test(test_own_headers_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
