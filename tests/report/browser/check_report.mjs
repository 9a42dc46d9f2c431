// Opens the sample reports in headless Chromium and checks what a reader would see:
//     node check_report.mjs FOLDER CHROMIUM
// FOLDER holds the reports that write_sample_report wrote; screenshots are written beside them.
// Exit codes: 0 passed, 1 failed, 77 skipped.

import assert from "node:assert/strict";
import {existsSync} from "node:fs";
import path from "node:path";
import {pathToFileURL} from "node:url";

const [folder, chromium] = process.argv.slice(2);

function skip(reason) {
    console.log(`skipped: ${reason}`);
    process.exit(77);
}

if (!chromium || !existsSync(chromium)) skip("Chromium is not installed");
const playwright = await import("playwright-core").catch(() =>
    skip("playwright-core is not installed; `npm ci --ignore-scripts` brings it"));

// Long enough for a machine that is busy with other tests.
const timeout_ms = 120_000;
const browser = await playwright.chromium.launch({
    executablePath: chromium,
    timeout: timeout_ms,
    args: [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
});

/// Opens a report; fails if it logs, throws, asks something or fetches anything but itself.
async function withReport(name, options, look) {
    const context = await browser.newContext({viewport: {width: 1280, height: 900}, ...options});
    context.setDefaultTimeout(timeout_ms);
    const page = await context.newPage();
    const faults = [];
    const url = pathToFileURL(path.resolve(folder, name)).href;
    page.on("console", message => faults.push(`console: ${message.text()}`));
    page.on("pageerror", error => faults.push(`error: ${error.message}`));
    page.on("request", request => {
        if (request.url() !== url && !request.url().startsWith("data:"))
            faults.push(`request: ${request.url()}`);
    });
    page.on("dialog", dialog => {
        faults.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
    });
    await page.goto(url);
    // The observer's first call, which may draw again, comes with the next frames.
    await page.evaluate(() => new Promise(done =>
        requestAnimationFrame(() => requestAnimationFrame(done))));
    await look(page);
    assert.deepEqual(faults, [], `${name} must be silent and self-contained`);
    await context.close();
}

const screenshot = (page, name) =>
    page.screenshot({path: path.join(folder, name), fullPage: true});

/// The share of a chart's pixels that are painted, summed over its layers.
const paintedShares = page => page.$$eval(".chart", charts => charts.map(chart => {
    let share = 0;
    for (const canvas of chart.querySelectorAll("canvas")) {
        // Reading from a copy: Chromium warns of repeated readings from the original.
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
        copy.drawImage(canvas, 0, 0);
        const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
        let painted = 0;
        for (let i = 3; i < pixels.length; i += 4) painted += pixels[i] > 0;
        share += painted / (pixels.length / 4);
    }
    return [chart.id, share];
}));

async function checkCharts(page, expected) {
    const shares = Object.fromEntries(await paintedShares(page));
    assert.deepEqual(Object.keys(shares).sort(), [...expected].sort());
    for (const [id, share] of Object.entries(shares))
        assert.ok(share > 0.01, `${id} must show something, painted: ${share}`);
}

const headings = page => page.$$eval("#networks th[scope=col]", cells =>
    cells.map(cell => cell.textContent));
const column = (page, index) => page.$$eval(
    "#networks tbody tr", (rows, i) => rows.map(row => row.cells[i].textContent), index);

async function checkSorting(page) {
    const heading = page.locator("#networks th", {hasText: "Test accuracy"});
    await heading.getByRole("button").click();
    assert.equal(await heading.getAttribute("aria-sort"), "ascending");
    const index = (await headings(page)).findIndex(text => text.startsWith("Test accuracy"));
    let values = await column(page, index);
    const known = values.filter(text => text !== "–").map(Number);
    assert.ok(known.length >= 7);
    assert.deepEqual(known, [...known].sort((a, b) => a - b));
    assert.ok(values.slice(known.length).every(text => text === "–"), "unknown values come last");

    await heading.getByRole("button").click();
    assert.equal(await heading.getAttribute("aria-sort"), "descending");
    values = await column(page, index);
    assert.deepEqual(values.slice(0, known.length).map(Number), known.reverse());
    assert.ok(values.slice(known.length).every(text => text === "–"), "unknown values come last");

    await page.locator("#networks th", {hasText: "Network"}).getByRole("button").click();
    const names = await column(page, 0);
    assert.equal(names[0], "front-01");
    assert.equal(names.at(-1), "unpruned");
    assert.equal(await page.locator("#networks th[aria-sort]").count(), 1);
}

async function checkChoice(page) {
    const before = await paintedShares(page);
    await page.getByRole("button", {name: "Show all candidates"}).click();
    await page.getByRole("button", {name: "Show the front"}).waitFor();
    assert.notDeepEqual(await paintedShares(page), before, "the button must change the chart");
    await page.getByRole("button", {name: "Show the front"}).click();
    assert.deepEqual(await paintedShares(page), before);
}

/// The tooltip of the network in the middle of a series.
async function checkTooltip(page, name, expected) {
    const place = await page.evaluate(wanted => {
        const chart = echarts.getInstanceByDom(document.getElementById("chart-front"));
        const series = chart.getOption().series.findIndex(entry => entry.name === wanted);
        const points = chart.getOption().series[series].data;
        const point = points[Math.floor(points.length / 2)];
        const [x, y] = chart.convertToPixel({seriesIndex: series}, point.slice(0, 2));
        return {x, y, id: point[2].id};
    }, name);
    await page.locator("#chart-front").hover({position: {x: place.x, y: place.y}});
    const tip = page.locator("#chart-front div", {hasText: "speed-up"}).last();
    await tip.waitFor();
    assert.match(await tip.textContent(), new RegExp(`${place.id}.*${expected}`));
}

/// A study without accuracies: its chart shows its objectives, its table no accuracy.
async function checkLatencyOnly(page) {
    assert.ok((await headings(page)).every(text => !text.includes("ccuracy")));
    assert.match(await page.locator(".lead").textContent(), /No accuracy was measured\.$/);
    if (!hasCharts) return;
    const names = await page.evaluate(() => {
        const option = echarts.getInstanceByDom(document.getElementById("chart-front")).getOption();
        return [option.xAxis[0].name, option.yAxis[0].name];
    });
    assert.match(names[0], /^Devices slower than 60 ms, predicted, %/);
    assert.equal(names[1], "MACs per image, M");
    await checkTooltip(page, "front", "devices slower than 60 ms");
}

/// Networks that break a constraint on the devices are told of, marked in the table and crossed in
/// the chart, before and after fine-tuning; the headline is of one that holds.
async function checkBroken(page, broken, crosses) {
    assert.match(await page.locator("#holds").textContent(),
        /^42 of the 57 networks of the front keep the constraints.*front-01.*latency\.p95 <= 0\.55x/);
    const marked = await page.$$eval("#networks tr.broken", rows =>
        rows.map(row => [row.cells[0].textContent, row.cells[1].textContent]));
    assert.equal(marked.length, broken);
    assert.ok(marked.every(([id, text]) => id.startsWith("front-") && text === "no"));
    const named = (await page.locator(".lead").textContent()).split(":")[0];
    assert.ok(marked.every(([id]) => id !== named), `${named} must hold`);

    await page.locator("#networks th", {hasText: "Constraints hold"}).getByRole("button").click();
    const held = await column(page, 1);
    assert.equal(held.lastIndexOf("no") + 1, held.indexOf("yes"), "who breaks one comes first");
    if (!hasCharts) return;
    const name = "breaks a constraint on the devices";
    const drawn = await page.evaluate(wanted => {
        const {series, legend} = echarts.getInstanceByDom(document.getElementById("chart-front"))
            .getOption();
        return [series.find(entry => entry.name === wanted).data.length,
            legend[0].data.includes(wanted)];
    }, name);
    assert.deepEqual(drawn, [crosses, true]);
    await checkTooltip(page, "front", "constraints hold on the devices (yes|no: latency.p95)");
}

const noSidewaysScrolling = async page => assert.ok(
    await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
    "only tables and wide charts may scroll sideways");

const allCharts =
    ["chart-front", "chart-clusters", "chart-k-distance", "chart-trials", "chart-channels",
        "chart-history"];

let hasCharts = true;
try {
    await withReport("sample.html", {colorScheme: "light"}, async page => {
        hasCharts = await page.evaluate(() => typeof echarts !== "undefined");
        if (hasCharts) {
            await checkCharts(page, allCharts);
            await checkChoice(page);
            await screenshot(page, "light.png");
            await checkTooltip(page, "front, fine-tuned", "MACs.*test accuracy");
        }
        await checkSorting(page);
        await noSidewaysScrolling(page);
        await page.pdf({path: path.join(folder, "print.pdf"), format: "A4"});
    });
    const charts = hasCharts ? allCharts : [];
    await withReport("sample.html", {colorScheme: "dark"}, async page => {
        await checkCharts(page, charts);
        await screenshot(page, "dark.png");
    });
    await withReport("sample.html", {viewport: {width: 390, height: 844}}, async page => {
        await checkCharts(page, charts);
        await noSidewaysScrolling(page);
        await screenshot(page, "narrow.png");
    });
    for (const [name, options] of [
        ["bounded-light", {colorScheme: "light"}],
        ["bounded-dark", {colorScheme: "dark"}],
        ["bounded-narrow", {viewport: {width: 390, height: 844}}],
    ])
        await withReport("bounded.html", options, async page => {
            await checkCharts(page, charts);
            await noSidewaysScrolling(page);
            await screenshot(page, `${name}.png`);
            // 15 networks of the front, two of them fine-tuned.
            if (name === "bounded-light") await checkBroken(page, 15, 17);
        });
    await withReport("bounded-latency.html", {}, async page => {
        await screenshot(page, "bounded-latency.png");
        await checkBroken(page, 15, 15);
    });
    for (const [name, options] of [
        ["rounds-light", {colorScheme: "light"}],
        ["rounds-narrow", {viewport: {width: 390, height: 844}}],
    ])
        await withReport("rounds.html", options, async page => {
            await checkCharts(page, hasCharts ? ["chart-rounds", ...allCharts] : []);
            await noSidewaysScrolling(page);
            await screenshot(page, `${name}.png`);
        });
    await withReport("hostile.html", {}, async page => {
        await checkCharts(page, charts);
        assert.equal(await page.locator("img").count(), 0);
        assert.match(await page.title(), /^<\/script><img/);
        await noSidewaysScrolling(page);
        await screenshot(page, "hostile.png");
    });
    await withReport("hostile-latency.html", {}, async page => {
        await checkCharts(page, charts);
        assert.equal(await page.locator("img").count(), 0);
        await noSidewaysScrolling(page);
    });
    for (const [name, options] of [
        ["latency-light", {colorScheme: "light"}],
        ["latency-dark", {colorScheme: "dark"}],
        ["latency-narrow", {viewport: {width: 390, height: 844}}],
    ])
        await withReport("latency.html", options, async page => {
            await checkCharts(page, charts);
            await noSidewaysScrolling(page);
            await screenshot(page, `${name}.png`);
            if (name === "latency-light") await checkLatencyOnly(page);
        });
    await withReport("predicted.html", {}, async page => {
        await checkCharts(page, charts);
        assert.ok((await headings(page)).some(text => text === "Mean latencyms, predicted"));
        await screenshot(page, "predicted.png");
    });
    await withReport("bare.html", {}, async page => {
        await checkCharts(page, charts);
        await screenshot(page, "bare.png");
    });
} finally {
    await browser.close();
}
if (!hasCharts) skip("built without ECharts: only the tables were checked, and they passed");
console.log(`passed; screenshots are in ${folder}`);
