// Runs ONNX models with ONNX Runtime.
//
//   node run.mjs LIST
//
// LIST is a JSON array of {model, input, shape, output}: files, and the input's shape. Inputs and
// outputs are raw 32-bit floats; a model's outputs are written one after the other. Where a model
// does not load or run, OUTPUT.error says why. Exits with 77 when ONNX Runtime is not installed.
import { readFileSync, writeFileSync } from 'node:fs';

let ort;
try {
    ort = (await import('onnxruntime-node')).default;
} catch (error) {
    console.log(`skipped: onnxruntime-node is not installed (${error.code})`);
    process.exit(77);
}

ort.env.logLevel = 'fatal'; // failures go into OUTPUT.error
async function run({ model, input, shape, output }) {
    const session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4,
    });
    const bytes = readFileSync(input);
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const results = await session.run({
        [session.inputNames[0]]: new ort.Tensor('float32', values, shape),
    });
    writeFileSync(output, Buffer.concat(session.outputNames.map((name) => {
        const { data } = results[name];
        return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    })));
    await session.release();
}

for (const task of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
    try {
        await run(task);
    } catch (error) {
        writeFileSync(`${task.output}.error`, String(error.message ?? error));
    }
}
