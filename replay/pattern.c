/* SPDX-License-Identifier: MIT */
/* Texts and regular expressions, looked for in lines: replay/pattern.h. */
#include <replay/pattern.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    char *text;          /* as given */
    const char *literal; /* in `text`; NULL: the regular expression */
    size_t literal_len;
    regex_t regex;
};

static int say(char *err, size_t errlen, const char *what)
{
    snprintf(err, errlen, "%s", what);
    return -1;
}

static int take_literal(struct pattern *p, const char *text, char *err, size_t errlen)
{
    p->literal = text;
    p->literal_len = strlen(text);
    if (strpbrk(text, "\r\n") != NULL)
        return say(err, errlen, "a text is looked for within a line: it has no line ends");
    return p->literal_len > 0 ? 0 : say(err, errlen, "an empty text is everywhere");
}

/* /REGEX/ or /REGEX/i: what is between the slashes. */
static int take_regex(struct pattern *p, char *err, size_t errlen)
{
    const char *close = strrchr(p->text, '/');
    int flags = REG_EXTENDED, rc;
    char why[128], *source;

    if (close == p->text || (close[1] != '\0' && strcmp(close, "/i") != 0))
        return say(err, errlen, "a regular expression is /REGEX/ or /REGEX/i, and a text that begins "
                                "with a slash begins with \\/");
    if (close == p->text + 1)
        return say(err, errlen, "an empty regular expression matches everywhere");
    if (close[1] == 'i')
        flags |= REG_ICASE;
    source = strndup(p->text + 1, (size_t)(close - p->text - 1));
    if (source == NULL)
        return say(err, errlen, "out of memory");
    rc = regcomp(&p->regex, source, flags);
    free(source);
    if (rc == 0)
        return 0;
    regerror(rc, NULL, why, sizeof(why));
    snprintf(err, errlen, "%s is no regular expression: %s", p->text, why);
    return -1;
}

struct pattern *pattern_parse(const char *text, char *err, size_t errlen)
{
    struct pattern *p = calloc(1, sizeof(*p));
    int rc;

    if (p == NULL || (p->text = strdup(text)) == NULL) {
        free(p);
        say(err, errlen, "out of memory");
        return NULL;
    }
    if (text[0] == '/')
        rc = take_regex(p, err, errlen);
    else
        rc = take_literal(p, strncmp(text, "\\/", 2) == 0 ? p->text + 1 : p->text, err, errlen);
    if (rc == 0)
        return p;
    free(p->text); /* a regular expression that was refused holds nothing */
    free(p);
    return NULL;
}

void pattern_destroy(struct pattern *p)
{
    if (p == NULL)
        return;
    if (p->literal == NULL)
        regfree(&p->regex);
    free(p->text);
    free(p);
}

const char *pattern_text(const struct pattern *p)
{
    return p->text;
}

/* Whether the first `len` bytes of a line match, and where. */
static bool match_regex(const struct pattern *p, const char *line, size_t len, bool ended, regmatch_t *at)
{
    *at = (regmatch_t){.rm_so = 0, .rm_eo = (regoff_t)len};
    return regexec(&p->regex, line, 1, at, REG_STARTEND | (ended ? 0 : REG_NOTEOL)) == 0;
}

/* The least number of bytes that match without the line's end; all `len` of them do. */
static size_t least_prefix(const struct pattern *p, const char *line, size_t len)
{
    size_t none = 0, some = len;
    regmatch_t at;

    if (match_regex(p, line, 0, false, &at))
        return 0;
    while (some - none > 1) {
        size_t mid = none + (some - none) / 2;

        if (match_regex(p, line, mid, false, &at))
            some = mid;
        else
            none = mid;
    }
    return some;
}

static bool search_regex(const struct pattern *p, const char *line, size_t len, bool ended,
                         struct pattern_match *match)
{
    regmatch_t at;
    size_t whole;

    *match = (struct pattern_match){0};
    if (match_regex(p, line, len, false, &at)) {
        whole = least_prefix(p, line, len);
        if (!match_regex(p, line, whole, false, &at))
            return false; /* out of memory for the expression's own work */
    } else if (ended && match_regex(p, line, len, true, &at)) {
        match->at_end = true;
    } else {
        return false;
    }
    match->begin = (size_t)at.rm_so;
    match->end = (size_t)at.rm_eo;
    return true;
}

bool pattern_search(const struct pattern *p, const char *line, size_t len, bool ended,
                    struct pattern_match *match)
{
    const char *found;

    if (p->literal == NULL)
        return search_regex(p, line, len, ended, match);
    found = memmem(line, len, p->literal, p->literal_len);
    if (found == NULL)
        return false;
    *match = (struct pattern_match){.begin = (size_t)(found - line)};
    match->end = match->begin + p->literal_len;
    return true;
}
