#ifndef FLETCHING_EXPORT_H
#define FLETCHING_EXPORT_H

/* Callers reach the shared library by one indirect call, where the compiler knows how to say that,
 * and not through a jump in their procedure linkage table. */
#if defined(__has_attribute)
#if __has_attribute(noplt)
#define FLETCH_NO_PLT __attribute__((noplt))
#endif
#endif
#ifndef FLETCH_NO_PLT
#define FLETCH_NO_PLT
#endif

/** Marks a function of the public API: visible in the shared library, C linkage, result not to be
 *  ignored where FLETCH_MUST_CHECK stands beside it, arguments of a format where FLETCH_PRINTF
 *  does. */
#if defined(__GNUC__)
#define FLETCH_EXPORT __attribute__((visibility("default"))) FLETCH_NO_PLT
#define FLETCH_MUST_CHECK __attribute__((warn_unused_result))
#define FLETCH_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define FLETCH_EXPORT
#define FLETCH_MUST_CHECK
#define FLETCH_PRINTF(text, first)
#endif

#ifdef __cplusplus
#define FLETCH_BEGIN_DECLS extern "C" {
#define FLETCH_END_DECLS }
#else
#define FLETCH_BEGIN_DECLS
#define FLETCH_END_DECLS
#endif

#endif
