/**
 * Encodes samples of one channel as WAV.
 *
 * @see http://soundfile.sapp.org/doc/WaveFormat/
 */
export function encodeWav(samples: Int16Array, sampleRate: number): Uint8Array {
  const bytesPerSample = 2;
  const size = samples.length * bytesPerSample;
  const bytes = Buffer.alloc(44 + size);
  bytes.write("RIFF", 0, "latin1");
  bytes.writeUInt32LE(36 + size, 4);
  bytes.write("WAVEfmt ", 8, "latin1");
  bytes.writeUInt32LE(16, 16); // the size of what describes the format
  bytes.writeUInt16LE(1, 20); // not compressed
  bytes.writeUInt16LE(1, 22); // channels
  bytes.writeUInt32LE(sampleRate, 24);
  bytes.writeUInt32LE(sampleRate * bytesPerSample, 28);
  bytes.writeUInt16LE(bytesPerSample, 32);
  bytes.writeUInt16LE(8 * bytesPerSample, 34);
  bytes.write("data", 36, "latin1");
  bytes.writeUInt32LE(size, 40);
  for (const [i, sample] of samples.entries()) bytes.writeInt16LE(sample, 44 + i * bytesPerSample);
  return bytes;
}
