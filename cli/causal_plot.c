/* SPDX-License-Identifier: MIT */
/* A plot of shares over icount, as SVG 1.1: causal_plot.h. Plain shapes and text, for any viewer and any editor. */
#include "causal_plot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "numbers.h"

#define WIDTH  800
#define HEIGHT 360
#define LEFT   60
#define RIGHT  20
#define TOP    40
#define BOTTOM 50

static double x_of(const struct causal_point *points, size_t n, uint64_t icount)
{
    double end = (double)points[n - 1].icount;

    return LEFT + (end > 0 ? (double)icount / end : 0) * (WIDTH - LEFT - RIGHT);
}

static double y_of(double share)
{
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
}

static double share_of(const struct causal_point *p)
{
    return p->samples == 0 ? 1.0 : (double)p->failed / (double)p->samples;
}

static void put_escaped(FILE *f, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            fputs("&lt;", f);
        else if (*text == '&')
            fputs("&amp;", f);
        else if ((unsigned char)*text >= 0x20)
            fputc(*text, f);
    }
}

static void put_axes(FILE *f, const struct causal_point *points, size_t n)
{
    char text[NUMBER_TEXT];

    for (int percent = 0; percent <= 100; percent += 25)
        fprintf(f,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d%%</text>\n",
                LEFT, WIDTH - RIGHT, y_of(percent / 100.0), y_of(percent / 100.0), LEFT - 6,
                y_of(percent / 100.0) + 4, percent);
    for (int i = 0; i <= 4; i++) {
        uint64_t at = points[n - 1].icount / 4 * (uint64_t)i;

        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x_of(points, n, at),
                HEIGHT - BOTTOM + 18, i == 0 ? "start" : i == 4 ? "end" : "middle", number_text(at, text));
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">instructions</text>\n", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 10);
}

static void put_curve(FILE *f, const struct causal_point *points, size_t n)
{
    fputs("<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" points=\"", f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%.1f,%.1f ", x_of(points, n, points[i].icount), y_of(share_of(&points[i])));
    fputs("\"/>\n", f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x_of(points, n, points[i].icount),
                y_of(share_of(&points[i])), points[i].samples == 0 ? "#c00" : "#06c");
}

int causal_plot(const char *path, const char *title, const struct causal_point *points, size_t n, size_t steepest)
{
    FILE *f = fopen(path, "w");
    int failed;

    if (f == NULL) {
        cli_error("--svg %s: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"22\" "
            "font-size=\"14\">Share of runs that still fail, with other timing from there on: ",
            WIDTH, HEIGHT, LEFT);
    put_escaped(f, title);
    fputs("</text>\n", f);
    if (steepest < n) {
        double from = x_of(points, n, points[steepest].icount), to = x_of(points, n, points[steepest + 1].icount);

        fprintf(f, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"#fd8\"/>\n", from, TOP,
                to - from > 2 ? to - from : 2, HEIGHT - TOP - BOTTOM);
    }
    put_axes(f, points, n);
    put_curve(f, points, n);
    fputs("</svg>\n", f);
    failed = ferror(f);
    failed |= fclose(f) != 0;
    if (failed)
        cli_error("--svg %s: it cannot be written", path);
    return failed ? EXIT_USAGE : EXIT_DONE;
}
