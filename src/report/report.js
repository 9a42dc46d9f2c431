// The charts and the sortable tables of hdap's report. Data: the JSON island #report-data, written
// by report_data.cpp. ECharts may be absent: then the tables still sort.
"use strict";
(() => {
    const data = JSON.parse(document.getElementById("report-data").textContent);

    // --- Text -----------------------------------------------------------------------------------

    const entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"};
    const escape = text => String(text).replace(/[&<>"']/g, letter => entities[letter]);
    const known = value => typeof value === "number";
    const fixed = (value, decimals) => (known(value) ? value.toFixed(decimals) : "–");
    const significant = value => {
        if (!known(value)) return "–";
        const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value))) + 1;
        return value.toFixed(Math.min(6, Math.max(0, 4 - digits)));
    };
    // Without the noise of binary fractions.
    const tidy = value => Number(value.toPrecision(6));
    const tick = value => String(tidy(value));
    const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
    const tooltip = (title, lines) =>
        `<b>${escape(title)}</b>` +
        lines.map(([name, value]) =>
            `<br><span class="unit" style="display:inline">${escape(name)}</span> ${escape(value)}`)
            .join("");

    // --- Sortable tables ------------------------------------------------------------------------

    const cellValue = cell => {
        if (!cell.classList.contains("number")) return cell.textContent;
        return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const compare = (a, b) =>
        typeof a === "string" ? a.localeCompare(b, "en", {numeric: true}) : a - b;

    function sortBy(table, column, heading) {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map(row => [cellValue(row.cells[column]), row]);
        rows.sort(([a], [b]) => {
            // What is not known comes last, whichever way the rest is sorted.
            if (a === null || b === null) return (a === null) - (b === null);
            return descending ? compare(b, a) : compare(a, b);
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
    }

    for (const table of document.querySelectorAll("table.sortable"))
        [...table.tHead.rows[0].cells].forEach((heading, column) => {
            const button = document.createElement("button");
            button.type = "button";
            button.append(...heading.childNodes);
            button.addEventListener("click", () => sortBy(table, column, heading));
            heading.append(button);
        });

    // --- Colours --------------------------------------------------------------------------------

    const clusterColours = 8;
    const clusterSymbols = ["circle", "triangle", "rect", "diamond"];
    const symbolOf = cluster =>
        clusterSymbols[(cluster + Math.floor(cluster / clusterColours)) % clusterSymbols.length];
    const readTheme = () => {
        const style = getComputedStyle(document.documentElement);
        const colour = name => style.getPropertyValue(`--${name}`).trim();
        return {
            paper: colour("paper"),
            panel: colour("panel"),
            line: colour("line"),
            ink: colour("ink"),
            soft: colour("soft"),
            faint: colour("faint"),
            front: colour("front"),
            uniform: colour("uniform"),
            broken: colour("broken"),
            heatLow: colour("heat-low"),
            heatHigh: colour("heat-high"),
            heatInk: colour("heat-ink"),
            cluster: k => colour(`cluster-${k % clusterColours}`),
            font: style.fontFamily,
        };
    };
    for (const swatch of document.querySelectorAll(".swatch"))
        swatch.style.background = `var(--cluster-${swatch.dataset.cluster % clusterColours})`;

    if (typeof echarts === "undefined") return;

    // --- What all charts share ------------------------------------------------------------------

    const axis = (theme, name, more = {}) => ({
        name,
        nameLocation: "middle",
        nameGap: 30,
        nameTextStyle: {color: theme.soft, fontSize: 13},
        axisLine: {show: true, lineStyle: {color: theme.faint}},
        axisTick: {show: true, lineStyle: {color: theme.faint}},
        axisLabel: {color: theme.soft, fontSize: 12, hideOverlap: true, formatter: tick},
        splitLine: {lineStyle: {color: theme.line, opacity: 0.6}},
        scale: true,
        ...more,
    });
    const verticalAxis = (theme, name, more = {}) => axis(theme, name, {nameGap: 46, ...more});
    const base = theme => ({
        animation: false,
        backgroundColor: "transparent",
        textStyle: {fontFamily: theme.font, color: theme.ink},
        tooltip: {
            confine: true,
            backgroundColor: theme.paper,
            borderColor: theme.line,
            textStyle: {color: theme.ink, fontSize: 13, fontFamily: theme.font},
        },
    });
    const toolbox = theme => ({
        show: document.documentElement.dataset.printing === undefined,
        right: 4,
        top: -8,
        itemSize: 14,
        iconStyle: {borderColor: theme.soft},
        emphasis: {iconStyle: {borderColor: theme.front, textFill: theme.ink}},
        feature: {
            dataZoom: {title: {zoom: "Zoom into an area", back: "Undo the zoom"}},
            saveAsImage: {title: "Save as an image", backgroundColor: theme.paper},
        },
    });
    const isNarrow = width => width < 500;
    const legend = (theme, width, entries) => ({
        data: entries,
        type: "plain",
        left: 0,
        top: 0,
        // Beside the toolbox, which narrow charts do not have.
        width: isNarrow(width) ? width : width - 100,
        itemGap: 14,
        itemWidth: 16,
        itemHeight: 10,
        textStyle: {color: theme.ink, fontSize: 13},
        inactiveColor: theme.faint,
    });

    // --- Front ----------------------------------------------------------------------------------

    const unpruned = data.networks[0];
    const {x: xAxis, y: yAxis} = data.axes;
    const before = network => [...network.before, network];
    // Without accuracies, fine-tuning moves no mark: there is one for each network.
    const after = network => (data.hasAccuracy ? [...network.after, network] : [null, null]);
    const drawable = point => known(point[0]) && known(point[1]);
    const ofKind = kind => data.networks.filter(network => network.kind === kind);
    const withUnit = (value, axisData) => `${significant(value)} ${axisData.unit}`;

    // The range of the networks of interest, widened to round numbers.
    function range(values, spare) {
        const least = Math.min(...values);
        const most = Math.max(...values);
        const width = most - least || Math.abs(most) || 1;
        const power = 10 ** Math.floor(Math.log10(width / 5));
        const step = power * [1, 2, 5, 10].find(factor => 5.5 * factor * power >= width);
        const low = Math.floor((least - spare * width) / step) * step;
        const high = Math.ceil((most + spare * width) / step) * step;
        return {min: tidy(low), max: tidy(high), interval: tidy(step)};
    }
    // No metric of a network is below 0, no share above 100 %.
    const within = ({unit}, limits) => ({...limits, min: Math.max(0, limits.min),
        max: unit === "%" ? Math.min(100, limits.max) : limits.max});
    const candidatePoints = data.candidates.filter(drawable);
    // The series of the dotted lines, which the legend leaves out.
    const joint = "before and after fine-tuning";
    const cross = "path://M0,0 L10,10 M10,0 L0,10";
    const focus = (() => {
        const front = ofKind("front");
        const uniform = ofKind("uniform").filter(network => network.finetuned);
        const points = [
            before(unpruned), after(unpruned), ...front.map(before), ...front.map(after),
            ...uniform.map(after),
        ].filter(drawable);
        if (points.length === 0) return {x: {}, y: {}};
        const x = range(points.map(point => point[0]), 0.03);
        const y = range(points.map(point => point[1]), 0.08);
        return {
            x: within(xAxis, x),
            y: within(yAxis, y),
        };
    })();

    function frontSeries(theme, narrow) {
        const front = ofKind("front");
        const uniform = ofKind("uniform");
        const tuned = networks => networks.filter(network => network.finetuned);
        const scatter = (name, points, symbol, size, style, more = {}) => ({
            name,
            type: "scatter",
            data: points.filter(drawable),
            symbol,
            symbolSize: size,
            itemStyle: style,
            ...more,
        });
        const full = colour => ({color: colour, borderColor: theme.paper, borderWidth: 1.5,
            opacity: 1});
        const hollow = colour => ({color: theme.paper, borderColor: colour, borderWidth: 1.8,
            opacity: 1});
        // Hollow says "before fine-tuning": of accuracies only.
        const first = data.hasAccuracy ? hollow : full;
        const labelled = {
            label: {
                show: !narrow,
                formatter: point => (data.hasAccuracy || point.data[2].best ||
                    point.data[2].kind === "unpruned" ? short(point.data[2].id, 14) : ""),
                position: data.hasAccuracy ? "top" : "right",
                distance: 7,
                color: theme.ink,
                fontSize: 12,
            },
            labelLayout: {hideOverlap: true},
        };
        const candidates = feasible => candidatePoints.filter(point => Boolean(point[2]) === feasible)
            .map(([x, y]) => [x, y]);
        const line = data.planeFront ? {type: "line", lineStyle: {color: theme.front, width: 1.8}} : {};
        const sorted = front.map(before).sort((a, b) => a[0] - b[0]);
        const joined = [...tuned(front), ...tuned(uniform)].flatMap(network =>
            [before(network).slice(0, 2), after(network).slice(0, 2), [null, null]]);
        const broken = front.filter(network => network.broken);
        return [
            scatter("candidate", candidates(true), "circle", 4,
                {color: theme.faint, opacity: 0.45}, {z: 1}),
            scatter("misses a constraint", candidates(false), "circle", 4,
                {color: "transparent", borderColor: theme.faint, borderWidth: 1, opacity: 0.6}, {z: 1}),
            {
                name: joint, type: "line", data: joined, symbol: "none", silent: true,
                z: 2, connectNulls: false,
                lineStyle: {color: theme.soft, width: 1, type: "dotted"},
            },
            scatter("front", sorted, "circle", data.hasAccuracy ? 6 : 10, first(theme.front),
                {z: 3, ...line, ...(data.hasAccuracy ? {} : labelled)}),
            scatter("uniform width", uniform.map(before), "diamond", 9,
                first(theme.uniform), {z: 3}),
            scatter("front, fine-tuned", tuned(front).map(after), "circle", 12, full(theme.front),
                {z: 5, ...labelled}),
            scatter("uniform width, fine-tuned", tuned(uniform).map(after), "diamond", 14,
                full(theme.uniform), {z: 4}),
            scatter("unpruned", [before(unpruned)], "triangle", 12, first(theme.ink),
                {z: 5, ...(data.hasAccuracy ? {} : {...labelled,
                    label: {...labelled.label, position: "left"}})}),
            scatter("unpruned", [after(unpruned)], "triangle", 13, full(theme.ink),
                {z: 5, ...labelled}),
            scatter("breaks a constraint on the devices",
                [...broken.map(before), ...tuned(broken).map(after)], cross, 11,
                {color: "none", borderColor: theme.broken, borderWidth: 2}, {z: 6, silent: true}),
        ].filter(series => series.data.length > 0);
    }

    // --- Rounds ---------------------------------------------------------------------------------

    function roundsOption(theme, width) {
        const narrow = isNarrow(width);
        const rounds = ofKind("round");
        const end = network => (data.hasAccuracy && network.finetuned ? after : before)(network);
        const start = data.hasAccuracy && drawable(after(unpruned)) ? after : before;
        const tuned = rounds.filter(network => network.finetuned);
        return {
            ...base(theme),
            toolbox: narrow ? undefined : toolbox(theme),
            legend: legend(theme, width, tuned.length > 0 && data.hasAccuracy
                ? ["round", "as it was pruned"] : ["round"]),
            grid: {left: 64, right: 20, bottom: 52, top: narrow ? 84 : 52},
            tooltip: {
                ...base(theme).tooltip,
                trigger: "item",
                formatter: point => tooltip(point.data[2].id, point.data[2].facts),
            },
            xAxis: {type: "value", ...axis(theme, narrow ? xAxis.brief : xAxis.title)},
            yAxis: {type: "value", ...verticalAxis(theme, narrow ? yAxis.brief : yAxis.title)},
            series: [
                {
                    name: joint, type: "line", symbol: "none", silent: true, z: 2,
                    data: (data.hasAccuracy ? tuned : []).flatMap(network =>
                        [before(network).slice(0, 2), after(network).slice(0, 2), [null, null]]),
                    lineStyle: {color: theme.soft, width: 1, type: "dotted"},
                },
                {
                    name: "round", type: "line", z: 4,
                    data: [start(unpruned), ...rounds.map(end)].filter(drawable),
                    symbol: "circle", symbolSize: 11,
                    lineStyle: {color: theme.front, width: 1.8},
                    itemStyle: {color: theme.front, borderColor: theme.paper, borderWidth: 1.5},
                    label: {show: !narrow, position: "top", distance: 7, color: theme.ink,
                        fontSize: 12, formatter: point => short(point.data[2].id, 14)},
                    labelLayout: {hideOverlap: true},
                },
                {
                    name: "as it was pruned", type: "scatter", z: 3,
                    data: (data.hasAccuracy ? tuned : []).map(before).filter(drawable),
                    symbol: "circle", symbolSize: 7,
                    itemStyle: {color: theme.paper, borderColor: theme.front, borderWidth: 1.8},
                },
            ],
        };
    }

    let showsAll = false;

    function frontOption(theme, width) {
        const narrow = isNarrow(width);
        const series = frontSeries(theme, narrow);
        const limits = showsAll ? {x: {}, y: {}} : focus;
        return {
            ...base(theme),
            toolbox: narrow ? undefined : toolbox(theme),
            legend: legend(theme, width, [...new Set(series.map(entry => entry.name))]
                .filter(name => name !== joint)),
            // Room for the legend, which has more entries where accuracies are known.
            grid: {left: 64, right: 20, bottom: 52,
                top: data.hasAccuracy ? (narrow ? 132 : 68) : (narrow ? 84 : 52)},
            tooltip: {
                ...base(theme).tooltip,
                trigger: "item",
                formatter: point => (point.data[2]
                    ? tooltip(point.data[2].id, point.data[2].facts)
                    : tooltip(point.seriesName, [
                        [xAxis.name, withUnit(point.data[0], xAxis)],
                        [yAxis.name, withUnit(point.data[1], yAxis)],
                    ])),
            },
            xAxis: {type: "value",
                ...axis(theme, narrow ? xAxis.brief : xAxis.title, limits.x)},
            yAxis: {type: "value",
                ...verticalAxis(theme, narrow ? yAxis.brief : yAxis.title, limits.y)},
            series,
        };
    }

    // --- Fleet ----------------------------------------------------------------------------------

    function clustersOption(theme, width) {
        const cloud = (name, cluster, symbol, style) => ({
            name,
            type: "scatter",
            data: data.devices.filter(point => point[2] === cluster && drawable(point)),
            symbol,
            symbolSize: 6,
            itemStyle: style,
        });
        const series = Array.from({length: data.clusters}, (_, k) =>
            cloud(`cluster ${k}`, k, symbolOf(k), {color: theme.cluster(k), opacity: 0.6}));
        series.unshift(cloud("noise", -1, "circle",
            {color: "transparent", borderColor: theme.faint, borderWidth: 1.3}));
        const shown = series.filter(entry => entry.data.length > 0);
        const rows = shown.length > 12 ? {type: "scroll"} : {type: "plain"};
        return {
            ...base(theme),
            toolbox: isNarrow(width) ? undefined : toolbox(theme),
            legend: {...legend(theme, width, shown.map(entry => entry.name)), ...rows,
                pageTextStyle: {color: theme.soft}, pageIconColor: theme.front},
            grid: {left: 64, right: 20, top: shown.length > 4 && shown.length <= 12 ? 68 : 44,
                bottom: 52},
            tooltip: {
                ...base(theme).tooltip,
                trigger: "item",
                formatter: point => tooltip(point.seriesName, [
                    [data.deviceAxes[0], fixed(point.data[0], 3)],
                    [data.deviceAxes[1], fixed(point.data[1], 3)],
                ]),
            },
            xAxis: {type: "value",
                ...axis(theme, `Latency on ${short(data.deviceAxes[0], 20)} ÷ fleet’s median`)},
            yAxis: {type: "value",
                ...verticalAxis(theme, `Latency on ${short(data.deviceAxes[1], 20)} ÷ fleet’s median`)},
            series: shown,
        };
    }

    function kDistanceOption(theme) {
        const last = Math.max(1, data.kDistance.length - 1);
        const points = data.kDistance.map((distance, i) => [100 * i / last, distance]);
        const positive = data.kDistance.filter(distance => known(distance) && distance > 0);
        const logarithmic = positive.length === data.kDistance.length &&
            positive[positive.length - 1] > 100 * positive[0];
        return {
            ...base(theme),
            grid: {left: 64, right: 20, top: 20, bottom: 52},
            tooltip: {
                ...base(theme).tooltip,
                trigger: "axis",
                formatter: ([point]) => tooltip(`${fixed(point.data[0], 1)} % of devices`,
                    [["have a neighbour within", significant(point.data[1])]]),
            },
            xAxis: {type: "value", ...axis(theme, "Share of devices, %", {min: 0, max: 100})},
            yAxis: {type: logarithmic ? "log" : "value",
                ...verticalAxis(theme, "Distance to the k-th neighbour, log latency",
                    logarithmic ? {} : {min: 0, scale: false})},
            series: [{
                name: "distance",
                type: "line",
                data: points,
                symbol: "none",
                lineStyle: {color: theme.front, width: 2},
                itemStyle: {color: theme.front},
                markLine: known(data.eps) && data.eps > 0 ? {
                    silent: true,
                    symbol: "none",
                    data: [{yAxis: data.eps}],
                    lineStyle: {color: theme.uniform, type: "dashed", width: 1.5},
                    label: {position: "insideStartTop", color: theme.uniform, fontSize: 13,
                        formatter: `eps ${data.eps.toPrecision(3)}`},
                } : undefined,
            }],
        };
    }

    // What groups of ever smaller radii make of the fleet's figures.
    function trialsOption(theme, width) {
        const figures = [["mean", "mean", theme.front], ["95th percentile", "p95", theme.uniform],
            ["slowest hundredth", "slowest", theme.soft]];
        return {
            ...base(theme),
            grid: {left: 64, right: 20, top: 44, bottom: 52},
            legend: legend(theme, width, figures.map(([name]) => name)),
            tooltip: {
                ...base(theme).tooltip,
                trigger: "axis",
                formatter: points => {
                    const trial = data.trials[points[0].dataIndex];
                    return tooltip(`${trial.clusters} clusters, radius ${significant(trial.radius)}`,
                        figures.map(([name, key]) => [name, `${significant(100 * trial[key])} %`]));
                },
            },
            xAxis: {type: "category", data: data.trials.map(trial => trial.clusters),
                ...axis(theme, "Clusters", {
                    axisLabel: {color: theme.soft, fontSize: 12},
                    splitLine: {show: false},
                })},
            yAxis: {type: "value",
                ...verticalAxis(theme, "Error on held-out benchmarks, %", {min: 0, scale: false})},
            series: figures.map(([name, key, color]) => ({
                name,
                type: "line",
                data: data.trials.map(trial => 100 * trial[key]),
                symbol: "circle",
                symbolSize: 6,
                lineStyle: {color, width: 2},
                itemStyle: {color},
            })),
        };
    }

    // --- Channels and history -------------------------------------------------------------------

    const compared = (() => {
        const tuned = data.networks.filter(network => network.finetuned);
        if (tuned.length > 0) return tuned;
        const front = ofKind("front");
        const most = Math.min(12, front.length);
        return Array.from({length: most}, (_, i) =>
            front[most === 1 ? 0 : Math.round(i * (front.length - 1) / (most - 1))]);
    })();

    function channelsOption(theme, width) {
        const cell = (x, y, channels) => {
            const share = Math.round(100 * channels / data.unprunedChannels[x]);
            return {value: [x, y, share, channels],
                label: {color: share > 70 ? theme.heatInk : theme.ink}};
        };
        // Rows read from the top, ECharts' axes from the bottom.
        const rows = [...compared].reverse();
        const cells = rows.flatMap((network, y) => network.genome.map((channels, x) =>
            cell(x, y, channels)));
        const roomy = data.groups.every(name => name.length * 8 < (width - 112) / data.groups.length);
        return {
            ...base(theme),
            grid: {left: 96, right: 16, top: 40, bottom: roomy ? 52 : 116},
            tooltip: {
                ...base(theme).tooltip,
                trigger: "item",
                formatter: ({value: [x, y, share, channels]}) =>
                    tooltip(`${rows[y].id}, ${data.groups[x]}`,
                        [["kept", `${channels} of ${data.unprunedChannels[x]} channels (${share} %)`]]),
            },
            visualMap: {
                dimension: 2,
                min: 0,
                max: 100,
                calculable: false,
                orient: "horizontal",
                left: 96,
                top: 0,
                itemWidth: 12,
                itemHeight: 180,
                text: ["100 %", "0 % of channels kept"],
                textStyle: {color: theme.soft, fontSize: 13},
                inRange: {color: [theme.heatLow, theme.heatHigh]},
            },
            xAxis: {
                type: "category",
                data: data.groups.map(name => short(name, 18)),
                ...axis(theme, "Pruning group", {
                    nameGap: roomy ? 30 : 92,
                    axisLabel: {color: theme.soft, fontSize: 11, interval: 0, rotate: roomy ? 0 : 60},
                    splitLine: {show: false},
                }),
            },
            yAxis: {
                type: "category",
                data: rows.map(network => short(network.id, 14)),
                ...axis(theme, "", {
                    axisLabel: {color: theme.ink, fontSize: 12, interval: 0},
                    splitLine: {show: false},
                }),
            },
            series: [{
                name: "channels kept",
                type: "heatmap",
                progressive: 0,
                data: cells,
                label: {show: true, fontSize: 11,
                    formatter: ({value}) => value[2]},
                itemStyle: {borderColor: theme.paper, borderWidth: 2},
                emphasis: {itemStyle: {borderColor: theme.ink}},
            }],
        };
    }

    function historyOption(theme) {
        return {
            ...base(theme),
            grid: {left: 64, right: 20, top: 20, bottom: 52},
            tooltip: {
                ...base(theme).tooltip,
                trigger: "axis",
                formatter: ([point]) => tooltip(`Generation ${point.data[2]}`, [
                    ["evaluations", point.data[0]],
                    ["networks on the front", point.data[3]],
                    ["hypervolume", significant(point.data[1])],
                ]),
            },
            xAxis: {type: "value", ...axis(theme, "Evaluated candidates", {scale: false, min: 0})},
            yAxis: {type: "value", ...verticalAxis(theme, "Hypervolume")},
            series: [{
                name: "hypervolume",
                type: "line",
                data: data.history.filter(drawable),
                symbol: "circle",
                symbolSize: 5,
                showSymbol: data.history.length <= 60,
                lineStyle: {color: theme.front, width: 2},
                itemStyle: {color: theme.front},
            }],
        };
    }

    // --- Drawing --------------------------------------------------------------------------------

    const charts = [
        ["chart-rounds", roundsOption],
        ["chart-front", frontOption],
        ["chart-clusters", clustersOption],
        ["chart-k-distance", kDistanceOption],
        ["chart-trials", trialsOption],
        ["chart-channels", channelsOption],
        ["chart-history", historyOption],
    ].map(([id, option]) => ({element: document.getElementById(id), option}))
        .filter(({element}) => element !== null);

    const channels = document.getElementById("chart-channels");
    if (channels !== null) {
        channels.style.height = `${180 + 30 * compared.length}px`;
        channels.style.minWidth = `${112 + 30 * data.groups.length}px`;
    }

    function draw({element, option}) {
        const chart = echarts.getInstanceByDom(element) ?? echarts.init(element);
        chart.resize();
        chart.setOption(option(readTheme(), element.clientWidth), {notMerge: true});
        widths.set(element, element.clientWidth);
    }
    const widths = new Map();
    const drawAll = () => charts.forEach(draw);
    drawAll();

    const frontChart = charts.find(({element}) => element.id === "chart-front");
    if (frontChart !== undefined && candidatePoints.length > 0) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "chart-choice";
        button.textContent = "Show all candidates";
        button.addEventListener("click", () => {
            showsAll = !showsAll;
            button.textContent = showsAll ? "Show the front" : "Show all candidates";
            draw(frontChart);
        });
        frontChart.element.closest("figure").prepend(button);
    }

    const observer = new ResizeObserver(entries => {
        for (const {target} of entries) {
            if (widths.get(target) !== target.clientWidth)
                draw(charts.find(({element}) => element === target));
        }
    });
    for (const {element} of charts) observer.observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

    // Paper is light, has no room to scroll, and nothing to click.
    const opened = new Set();
    addEventListener("beforeprint", () => {
        document.documentElement.dataset.printing = "";
        for (const section of document.querySelectorAll("details:not([open])")) {
            opened.add(section);
            section.open = true;
        }
        drawAll();
    });
    addEventListener("afterprint", () => {
        delete document.documentElement.dataset.printing;
        for (const section of opened) section.open = false;
        opened.clear();
        drawAll();
    });
})();
