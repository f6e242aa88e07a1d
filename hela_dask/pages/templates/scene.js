"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const find = (id) => document.getElementById(id);
const view = find("view"), canvas = document.querySelector("canvas"), tip = find("tip");
const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
if (!gl) { view.textContent = "This browser has no WebGL 2, which the view needs."; throw "WebGL"; }

// ---- content -----------------------------------------------------------------------------------
const low = content.low, high = content.high, middle = low.map((v, k) => (v + high[k]) / 2);
const radius = Math.hypot(...high.map((v, k) => v - low[k])) / 2;

function bytes(text) {
  const raw = atob(text), found = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) found[k] = raw.charCodeAt(k);
  return found;
}

function numbers(text) {
  const raw = bytes(text), found = new Uint16Array(raw.length / 2);
  for (let k = 0; k < found.length; k++) found[k] = raw[2 * k] | (raw[2 * k + 1] << 8);
  return found;
}

function normals(places, faces, step) {
  const sums = new Float32Array(places.length), found = new Int8Array(4 * places.length / 3);
  for (let f = 0; f < faces.length; f += 3) {
    const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
    const u = [0, 1, 2].map((k) => (places[b + k] - places[a + k]) * step[k]);
    const v = [0, 1, 2].map((k) => (places[c + k] - places[a + k]) * step[k]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const at of [a, b, c]) for (let k = 0; k < 3; k++) sums[at + k] += n[k];
  }
  for (let at = 0; at < places.length / 3; at++) {
    const length = Math.hypot(sums[3 * at], sums[3 * at + 1], sums[3 * at + 2]) || 1;
    for (let k = 0; k < 3; k++) found[4 * at + k] = Math.round(127 * sums[3 * at + k] / length);
  }
  return found;
}

function buffer(target, data) {
  const made = gl.createBuffer();
  gl.bindBuffer(target, made);
  gl.bufferData(target, data, gl.STATIC_DRAW);
  return made;
}

function load(mesh) {
  const places = numbers(mesh.places), faces = numbers(mesh.faces);
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  buffer(gl.ARRAY_BUFFER, places);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.UNSIGNED_SHORT, false, 0, 0);
  buffer(gl.ARRAY_BUFFER, normals(places, faces, mesh.step));
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 3, gl.BYTE, true, 4, 0);
  buffer(gl.ELEMENT_ARRAY_BUFFER, faces);
  gl.bindVertexArray(null);
  const centre = mesh.low.map((v, k) => v + mesh.step[k] * 32767.5);
  return { array, count: faces.length, low: mesh.low, step: mesh.step, centre };
}

const cells = content.cells.map((cell, at) => ({
  ...cell, at, shown: true, cut: cell.complete === false,
  bright: cell.color, deep: cell.color.map((v) => 0.75 * v),
  membrane: cell.meshes.cell && load(cell.meshes.cell),
  nucleus: cell.meshes.nucleus && load(cell.meshes.nucleus),
}));
for (const cell of cells) {
  delete cell.meshes;
  cell.centre = (cell.membrane || cell.nucleus || { centre: middle }).centre;
}

// ---- programs ----------------------------------------------------------------------------------
function program(vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, "#version 300 es\nprecision highp float;\n" + text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw gl.getShaderInfoLog(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return { made, at: (name) => gl.getUniformLocation(made, name) };
}

const solid = program(`
  layout(location = 0) in vec3 place; layout(location = 1) in vec3 direction;
  uniform vec3 low, step_, middle; uniform mat3 turn; uniform vec3 scale; uniform vec2 moved;
  out vec3 normal, world;
  void main() {
    world = low + step_ * place;
    normal = turn * direction;
    vec3 seen = turn * (world - middle);
    gl_Position = vec4(seen.xy * scale.xy + moved, -seen.z * scale.z, 1.0);
  }`, `
  in vec3 normal, world;
  uniform vec4 colour; uniform float mode, period; out vec4 drawn;
  void main() {
    if (mode > 2.5) { drawn = colour; return; }
    vec3 n = normalize(normal);
    if (!gl_FrontFacing) n = -n;
    float light = 0.42 + 0.5 * max(dot(n, normalize(vec3(-0.4, 0.6, 0.8))), 0.0)
                + 0.14 * max(dot(n, normalize(vec3(0.7, -0.3, 0.5))), 0.0);
    float alpha = colour.a;
    if (alpha < 0.99 && mode > 0.5) alpha *= 0.35 + 1.5 * pow(1.0 - abs(n.z), 1.6);
    if (mode > 1.5 && fract((world.x + world.y + world.z) / period) < 0.5) {
      alpha *= alpha < 0.99 ? 0.3 : 1.0;
      light *= 0.8;
    }
    drawn = vec4(colour.rgb * light, min(alpha, 1.0));
  }`);

const plane = program(`
  layout(location = 0) in vec3 place; layout(location = 1) in vec2 corner;
  uniform vec3 middle; uniform mat3 turn; uniform vec3 scale; uniform vec2 moved; out vec2 at;
  void main() {
    at = corner;
    vec3 seen = turn * (place - middle);
    gl_Position = vec4(seen.xy * scale.xy + moved, -seen.z * scale.z, 1.0);
  }`, `
  in vec2 at; uniform sampler2D image; uniform float lines; out vec4 drawn;
  void main() {
    drawn = lines > 0.5 ? vec4(0.55, 0.6, 0.66, 1.0) : vec4(texture(image, at).rgb, 1.0);
  }`);

function flat(values) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  buffer(gl.ARRAY_BUFFER, new Float32Array(values));
  for (const [k, size] of [[0, 3], [1, 2]]) {
    gl.enableVertexAttribArray(k);
    gl.vertexAttribPointer(k, size, gl.FLOAT, false, 20, k * 12);
  }
  gl.bindVertexArray(null);
  return { array, count: values.length / 5 };
}

const z = content.slice.z;
const sheet = flat([[0, 0], [1, 0], [0, 1], [1, 1]].flatMap(([i, j]) =>
  [i ? high[0] : low[0], j ? high[1] : low[1], z, i, j]));
const corner = (k) => [0, 1, 2].map((axis) => (k >> axis & 1 ? high[axis] : low[axis]));
const frame = flat([0, 1, 2].flatMap((axis) => [0, 1, 2, 3, 4, 5, 6, 7]
  .filter((k) => !(k >> axis & 1))
  .flatMap((k) => [...corner(k), 0, 0, ...corner(k | 1 << axis), 0, 0])));
const texture = gl.createTexture(), picture = new Image();
picture.onload = () => {
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, picture);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  picture.ready = true;
  redraw();
};
picture.src = content.slice.picture;

// ---- camera: x to the right, y down and z away, as the image is seen ------------------------------
const times = (a, b) => [0, 1, 2].map((i) => [0, 1, 2].map((j) =>
  a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j]));
const about = (axis, angle) => {
  const c = Math.cos(angle), s = Math.sin(angle);
  return axis ? [[c, 0, s], [0, 1, 0], [-s, 0, c]] : [[1, 0, 0], [0, c, -s], [0, s, c]];
};
const FACE = [[1, 0, 0], [0, -1, 0], [0, 0, -1]];
const START = times(about(0, 0.95), times([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]], FACE));
let turn = START, zoom = 1, moved = [0, 0], hot = null, pending = false;

function scales() {
  const base = zoom * 0.92 / radius, ratio = canvas.width / canvas.height;
  const across = ratio > 1 ? base / ratio : base, up = ratio > 1 ? base : base * ratio;
  return [across, up, 0.5 / radius];
}

function seen(place) {
  const [across, up] = scales(), p = place.map((v, k) => v - middle[k]);
  const [x, y] = [0, 1].map((k) => turn[k][0] * p[0] + turn[k][1] * p[1] + turn[k][2] * p[2]);
  return [(1 + x * across + moved[0]) / 2 * view.clientWidth,
          (1 - y * up - moved[1]) / 2 * view.clientHeight];
}

function use(which) {
  gl.useProgram(which.made);
  gl.uniform3fv(which.at("middle"), middle);
  gl.uniformMatrix3fv(which.at("turn"), true, turn.flat());
  gl.uniform3fv(which.at("scale"), scales());
  gl.uniform2fv(which.at("moved"), moved);
}

// ---- drawing -----------------------------------------------------------------------------------
function mesh(item, rgba, mode) {
  gl.uniform3fv(solid.at("low"), item.low);
  gl.uniform3fv(solid.at("step_"), item.step);
  gl.uniform4fv(solid.at("colour"), rgba);
  gl.uniform1f(solid.at("mode"), mode);
  gl.bindVertexArray(item.array);
  gl.drawElements(gl.TRIANGLES, item.count, gl.UNSIGNED_SHORT, 0);
}

function draw() {
  pending = false;
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(view.clientWidth * ratio), tall = Math.round(view.clientHeight * ratio);
  if (canvas.width !== wide || canvas.height !== tall) { canvas.width = wide; canvas.height = tall; }
  gl.viewport(0, 0, wide, tall);
  gl.clearColor(1, 1, 1, 1);
  gl.depthMask(true);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.enable(gl.DEPTH_TEST);
  gl.disable(gl.BLEND);
  gl.disable(gl.CULL_FACE);
  use(plane);
  gl.uniform1f(plane.at("lines"), 1);
  gl.bindVertexArray(frame.array);
  gl.drawArrays(gl.LINES, 0, frame.count);
  if (find("slice").checked && picture.ready) {
    gl.uniform1f(plane.at("lines"), 0);
    gl.bindVertexArray(sheet.array);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
  use(solid);
  gl.uniform1f(solid.at("period"), radius / 14);
  const shown = cells.filter((cell) => cell.shown);
  if (find("nuclei").checked)
    for (const cell of shown) if (cell.nucleus) mesh(cell.nucleus, [...cell.deep, 1], 0);
  if (find("membranes").checked) membranes(shown);
  gl.bindVertexArray(null);
  marks();
  writeNumbers(shown, ratio);
}

// The number of each cell in its nucleus, nearer ones first; a number that would overlap is left out.
const labels = find("labels"), pen = labels.getContext("2d");
function writeNumbers(shown, ratio) {
  if (labels.width !== canvas.width || labels.height !== canvas.height) {
    labels.width = canvas.width;
    labels.height = canvas.height;
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, labels.width, labels.height);
  labels.removeAttribute("aria-label");
  if (!find("numbers").checked) return;
  Object.assign(pen, { font: "bold 13px system-ui, sans-serif", textAlign: "center",
    textBaseline: "middle", lineWidth: 3.5, lineJoin: "round", strokeStyle: "#ffffff",
    fillStyle: "#1c2430" });
  const place = (cell) => (cell.nucleus || cell.membrane || cell).centre;
  const depth = (cell) => turn[2].reduce((sum, v, k) => sum + v * (place(cell)[k] - middle[k]), 0);
  const taken = [], written = [];
  for (const cell of [...shown].sort((a, b) => depth(b) - depth(a))) {
    const [x, y] = seen(place(cell)), text = `${cell.label}`;
    const wide = 4.5 * text.length + 3;
    if (taken.some(([u, v, w]) => Math.abs(x - u) < wide + w && Math.abs(y - v) < 15)) continue;
    taken.push([x, y, wide]);
    written.push(cell.label);
    pen.strokeText(text, x, y);
    pen.fillText(text, x, y);
  }
  labels.setAttribute("aria-label", `cells ${written.sort((a, b) => a - b).join(", ")}`);
}

function membranes(shown) {
  const alpha = find("opacity").value / 100, whole = alpha >= 0.99;
  const depth = (cell) => turn[2].reduce((sum, v, k) => sum + v * (cell.centre[k] - middle[k]), 0);
  gl.enable(gl.BLEND);
  gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.depthMask(whole);
  gl.enable(gl.CULL_FACE);
  for (const cell of shown.filter((c) => c.membrane).sort((a, b) => depth(a) - depth(b)))
    for (const face of [gl.FRONT, gl.BACK]) {
      gl.cullFace(face);
      const strength = cell === hot ? Math.min(1, alpha * 1.9 + 0.08) : alpha;
      mesh(cell.membrane, [...cell.bright, strength], cell.cut ? 2 : 1);
    }
  gl.depthMask(true);
  gl.disable(gl.BLEND);
  gl.disable(gl.CULL_FACE);
}

function redraw() {
  if (!pending) { pending = true; requestAnimationFrame(draw); }
}

const named = [0, 1, 2].map((axis) => {
  const mark = view.appendChild(document.createElement("span"));
  mark.className = "mark";
  mark.textContent = `${"xyz"[axis]} ${(high[axis] - low[axis]).toFixed(1)} µm`;
  return mark;
});

function marks() {
  const centre = seen(middle);
  named.forEach((mark, axis) => {
    // Beside the edge of the box that is farthest out.
    let best = null, far = -1;
    for (let k = 0; k < 8; k++) if (!(k >> axis & 1)) {
      const place = corner(k);
      place[axis] = middle[axis];
      const at = seen(place), away = Math.hypot(at[0] - centre[0], at[1] - centre[1]);
      if (away > far + 1e-6) { far = away; best = at; }
    }
    const out = best.map((v, k) => (v - centre[k]) / (far || 1));
    mark.style.left = `${best[0] + 34 * out[0]}px`;
    mark.style.top = `${best[1] + 16 * out[1]}px`;
  });
  const pixel = 2 / (scales()[0] * view.clientWidth), most = 160 * pixel;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((k) => k * power).find((v) => v <= most);
  find("bar").lastElementChild.style.width = `${length / pixel}px`;
  find("bar").firstElementChild.textContent = `${+length.toPrecision(2)} µm`;
}

// ---- picking: each cell drawn in the colour of its number ------------------------------------------
const hidden = gl.createFramebuffer(), target = gl.createTexture(), depths = gl.createRenderbuffer();
function pick(x, y) {
  gl.bindTexture(gl.TEXTURE_2D, target);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, canvas.width, canvas.height, 0, gl.RGBA,
                gl.UNSIGNED_BYTE, null);
  gl.bindRenderbuffer(gl.RENDERBUFFER, depths);
  gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT16, canvas.width, canvas.height);
  gl.bindFramebuffer(gl.FRAMEBUFFER, hidden);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, target, 0);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, depths);
  const ratio = canvas.width / view.clientWidth, found = new Uint8Array(4);
  const i = Math.floor(x * ratio), j = canvas.height - 1 - Math.floor(y * ratio);
  gl.enable(gl.SCISSOR_TEST);
  gl.scissor(i, j, 1, 1);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  use(solid);
  const kinds = ["nuclei", "membranes"].filter((kind) => find(kind).checked);
  for (const cell of cells) if (cell.shown) for (const kind of kinds) {
    const item = kind === "nuclei" ? cell.nucleus : cell.membrane, number = cell.at + 1;
    if (item) mesh(item, [(number & 255) / 255, (number >> 8) / 255, 0, 1], 3);
  }
  gl.readPixels(i, j, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, found);
  gl.disable(gl.SCISSOR_TEST);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  return cells[found[0] + 256 * found[1] - 1] || null;
}

function describe(cell) {
  const lines = [`cell ${cell.label}${cell.cut ? " (cut by the volume)" : ""}`];
  const add = (name, value, digits, unit) => {
    if (typeof value === "number") lines.push(`${name} ${value.toFixed(digits)}${unit}`);
  };
  add("volume", cell.volume, 1, " µm³");
  add("nucleus", cell.nucleusVolume, 1, " µm³");
  add("confidence", cell.confidence, 2, "");
  if (!cell.nucleus) lines.push("no nucleus in the labels");
  return lines.join("\n");
}

function heat(cell) {
  if (cell === hot) return;
  for (const item of [hot, cell]) if (item) item.row.classList.toggle("hot", item === cell);
  hot = cell;
  redraw();
}
