/* A stand-in for TFLite's benchmark_model: it really runs the model, in the LiteRT library of the
 * wheel, and prints what the tool prints (INFO: prefix, percentiles). Built by standin.py.
 *
 * The C API is LiteRT's (litert/c/ of github.com/google-ai-edge/LiteRT). Its structures are only
 * passed on, so they are blocks of bytes here; of a tensor's type, only the element type is read,
 * which comes first. */
#define _GNU_SOURCE
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef void *Handle;
typedef union { int32_t element; int64_t block[32]; } TensorType;
enum { OK = 0, CPU = 1, READ = 0, WRITE = 1, FLOAT32 = 1, MAX_RUNS = 1 << 20, MAX_BUFFERS = 8 };

int LiteRtCreateEnvironment(int, const void *, Handle *);
int LiteRtCreateModelFromFile(Handle, const char *, Handle *);
int LiteRtCreateOptions(Handle *);
int LiteRtSetOptionsHardwareAccelerators(Handle, int);
int LiteRtCreateCompiledModel(Handle, Handle, Handle, Handle *);
int LiteRtCompiledModelIsFullyAccelerated(Handle, bool *);
int LiteRtGetModelSubgraph(Handle, size_t, Handle *);
int LiteRtGetNumSubgraphInputs(Handle, size_t *);
int LiteRtGetNumSubgraphOutputs(Handle, size_t *);
int LiteRtGetNumSubgraphOps(Handle, size_t *);
int LiteRtGetSubgraphInput(Handle, size_t, Handle *);
int LiteRtGetSubgraphOutput(Handle, size_t, Handle *);
int LiteRtGetRankedTensorType(Handle, TensorType *);
int LiteRtGetCompiledModelInputBufferRequirements(Handle, size_t, size_t, Handle *);
int LiteRtGetCompiledModelOutputBufferRequirements(Handle, size_t, size_t, Handle *);
int LiteRtCreateManagedTensorBufferFromRequirements(Handle, const TensorType *, Handle, Handle *);
int LiteRtGetTensorBufferSize(Handle, size_t *);
int LiteRtGetTensorBufferPackedSize(Handle, size_t *);
int LiteRtLockTensorBuffer(Handle, void **, int);
int LiteRtUnlockTensorBuffer(Handle);
int LiteRtCreateOpaqueOptions(const char *, void *, void (*)(void *), Handle *);
int LiteRtAddOpaqueOptions(Handle, Handle);
int LiteRtCompiledModelGetProfiler(Handle, Handle *);
int LiteRtStartProfiler(Handle);
int LiteRtStopProfiler(Handle);
int LiteRtGetProfileSummary(Handle, Handle, const char **);
int LiteRtRunCompiledModel(Handle, size_t, size_t, Handle *, size_t, Handle *);

static const char *graph = "", *value_files = "", *output_filepath = "";
static long num_runs = 50, warmup_runs = 1, num_threads = 1;
static double min_secs = 1, warmup_min_secs = 0.5, max_secs = 150;
static bool use_xnnpack = true, use_gpu, use_nnapi, enable_op_profiling;
static int64_t runs_us[MAX_RUNS];

static int fail(const char *what) {
  printf("ERROR: %s\nERROR: Benchmarking failed.\n", what);
  exit(1);
}
static void must(int status, const char *what) {
  if (status != OK) fail(what);
}
static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}
static int compare(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

static bool take_flag(const char *flag) {
  const char *value = strchr(flag, '=');
  if (strncmp(flag, "--", 2) || !value) return false;
  size_t length = (size_t)(value++ - flag - 2);
  const char *name = flag + 2;
  bool on = !strcmp(value, "true") || !strcmp(value, "1");
#define IS(text) (length == strlen(text) && !strncmp(name, text, length))
  if (IS("graph")) graph = value;
  else if (IS("num_runs")) num_runs = atol(value);
  else if (IS("warmup_runs")) warmup_runs = atol(value);
  else if (IS("num_threads")) num_threads = atol(value);
  else if (IS("min_secs")) min_secs = atof(value);
  else if (IS("warmup_min_secs")) warmup_min_secs = atof(value);
  else if (IS("max_secs")) max_secs = atof(value);
  else if (IS("use_xnnpack")) use_xnnpack = on;
  else if (IS("use_gpu")) use_gpu = on;
  else if (IS("use_nnapi")) use_nnapi = on;
  else if (IS("enable_op_profiling")) enable_op_profiling = on;
  else if (IS("input_layer_value_files")) value_files = value;
  else if (IS("output_filepath")) output_filepath = value;
  else if (IS("input_layer") || IS("input_layer_shape")) return true;
  else return false;
  return true;
}

static Handle environment, model, compiled, profiler, inputs[MAX_BUFFERS], outputs[MAX_BUFFERS];
static size_t input_count, output_count;

static void load(void) {
  Handle options, subgraph, tensor, needs;
  must(LiteRtCreateEnvironment(0, NULL, &environment), "no environment");
  must(LiteRtCreateModelFromFile(environment, graph, &model), "failed to load the model");
  must(LiteRtCreateOptions(&options), "no options");
  must(LiteRtSetOptionsHardwareAccelerators(options, CPU), "no CPU");
  if (enable_op_profiling) {
    Handle more;
    char *text = strdup("enable_profiling = true\n");
    must(LiteRtCreateOpaqueOptions("runtime_options_string", text, free, &more), "no options");
    must(LiteRtAddOpaqueOptions(options, more), "no profiling");
  }
  must(LiteRtCreateCompiledModel(environment, model, options, &compiled), "failed to compile");
  must(LiteRtGetModelSubgraph(model, 0, &subgraph), "no graph");
  must(LiteRtGetNumSubgraphInputs(subgraph, &input_count), "no inputs");
  must(LiteRtGetNumSubgraphOutputs(subgraph, &output_count), "no outputs");
  if (input_count > MAX_BUFFERS || output_count > MAX_BUFFERS) fail("too many tensors");
  for (size_t i = 0; i < input_count; i++) {
    TensorType type = {0};
    void *bytes;
    size_t size;
    must(LiteRtGetSubgraphInput(subgraph, i, &tensor), "no input");
    must(LiteRtGetRankedTensorType(tensor, &type), "no type");
    must(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, i, &needs), "no needs");
    must(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, needs, &inputs[i]),
         "no input buffer");
    must(LiteRtGetTensorBufferSize(inputs[i], &size), "no size");
    must(LiteRtLockTensorBuffer(inputs[i], &bytes, WRITE), "no lock");
    if (type.element == FLOAT32)
      for (size_t at = 0; at < size / 4; at++) ((float *)bytes)[at] = rand() / (RAND_MAX / 2.f) - 1;
    else
      for (size_t at = 0; at < size; at++) ((uint8_t *)bytes)[at] = (uint8_t)(rand() >> 8);
    must(LiteRtUnlockTensorBuffer(inputs[i]), "no unlock");
  }
  for (size_t i = 0; i < output_count; i++) {
    TensorType type = {0};
    must(LiteRtGetSubgraphOutput(subgraph, i, &tensor), "no output");
    must(LiteRtGetRankedTensorType(tensor, &type), "no type");
    must(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, i, &needs), "no needs");
    must(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, needs, &outputs[i]),
         "no output buffer");
  }
}

/* Of one input: `NAME:FILE`, with its bytes. */
static void read_values(void) {
  const char *path = strchr(value_files, ':');
  void *bytes;
  size_t size;
  FILE *file = path ? fopen(path + 1, "rb") : NULL;
  if (!file || input_count != 1) fail("Wrong input value file item specified");
  must(LiteRtGetTensorBufferPackedSize(inputs[0], &size), "no size");
  must(LiteRtLockTensorBuffer(inputs[0], &bytes, WRITE), "no lock");
  if (fread(bytes, 1, size, file) != size || fgetc(file) != EOF) fail("The size of the input file");
  must(LiteRtUnlockTensorBuffer(inputs[0]), "no unlock");
  fclose(file);
}

static void write_outputs(void) {
  FILE *file = fopen(output_filepath, "wb");
  if (!file) fail("cannot write the outputs");
  for (size_t i = 0; i < output_count; i++) {
    void *bytes;
    size_t size;
    must(LiteRtGetTensorBufferPackedSize(outputs[i], &size), "no size");
    must(LiteRtLockTensorBuffer(outputs[i], &bytes, READ), "no lock");
    if (fwrite(bytes, 1, size, file) != size) fail("cannot write the outputs");
    must(LiteRtUnlockTensorBuffer(outputs[i]), "no unlock");
  }
  fclose(file);
}

static void say_who_runs(void) {
  bool whole = false;
  if (use_gpu) printf("INFO: Though GPU delegate is explicitly applied, the model graph will not "
                      "be executed by the delegate.\n");
  if (use_nnapi) printf("INFO: Though NNAPI delegate is explicitly applied, the model graph will "
                        "not be executed by the delegate.\n");
  if (!use_xnnpack) return;
  must(LiteRtCompiledModelIsFullyAccelerated(compiled, &whole), "no word on acceleration");
  if (whole) printf("INFO: Explicitly applied XNNPACK delegate, and the model graph will be "
                    "completely executed by the delegate.\n");
  else printf("INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially "
              "executed by the delegate w/ 1 delegate kernels.\n");
}

/* The tool's percentile: of the sorted runs, the one at that share of them. */
static int64_t percentile(long count, int share) {
  long at = count * share / 100;
  return runs_us[at < count ? at : count - 1];
}

static double phase(long least, double seconds, int64_t *first) {
  printf("INFO: Running benchmark for at least %ld iterations and at least %g seconds but terminate "
         "if exceeding %g seconds.\n", least, seconds, max_secs);
  int64_t started = now_us(), spent = 0, last = 0;
  long count = 0;
  double sum = 0, squares = 0;
  while (count < MAX_RUNS && (count < least || spent < seconds * 1e6) && spent < max_secs * 1e6) {
    int64_t before = now_us();
    must(LiteRtRunCompiledModel(compiled, 0, input_count, inputs, output_count, outputs), "run");
    int64_t after = now_us();
    last = after - before;
    runs_us[count++] = last;
    sum += (double)last;
    squares += (double)last * (double)last;
    spent = after - started;
  }
  *first = runs_us[0];
  double mean = sum / count, variance = squares / count - mean * mean;
  qsort(runs_us, (size_t)count, sizeof *runs_us, compare);
  if (runs_us[0] == runs_us[count - 1])
    printf(count > 1 ? "INFO: count=%ld curr=%lld(all same)\n\n" : "INFO: count=%ld curr=%lld\n\n",
           count, (long long)last);
  else
    printf("INFO: count=%ld first=%lld curr=%lld min=%lld max=%lld avg=%g std=%ld p5=%lld "
           "median=%lld p95=%lld\n\n", count, (long long)*first, (long long)last,
           (long long)runs_us[0], (long long)runs_us[count - 1], mean,
           (long)(variance > 0 ? sqrt(variance) : 0), (long long)percentile(count, 5),
           (long long)percentile(count, 50), (long long)percentile(count, 95));
  return mean;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  printf("INFO: STARTING!\n");
  for (int i = 1; i < argc; i++)
    if (!take_flag(argv[i])) printf("WARN: Unconsumed cmdline flags: %s\n", argv[i]);
  struct stat file;
  if (stat(graph, &file)) fail("Failed to mmap the model");
  printf("INFO: Num threads: [%ld]\nINFO: Graph: [%s]\n", num_threads, graph);
  int64_t started = now_us(), first, unused;
  load();
  say_who_runs();
  int64_t init = now_us() - started;
  if (*value_files) read_values();
  printf("INFO: Loaded model %s\nINFO: The input model file size (MB): %g\n"
         "INFO: Initialized session in %gms.\n", graph, (double)file.st_size / 1e6, init / 1e3);
  double warmup = phase(warmup_runs, warmup_min_secs, &first);
  if (enable_op_profiling) {
    must(LiteRtCompiledModelGetProfiler(compiled, &profiler), "no profiler");
    must(LiteRtStartProfiler(profiler), "no profile");
  }
  double inference = phase(num_runs, min_secs, &unused);
  if (*output_filepath) write_outputs();
  printf("INFO: Inference timings in us: Init: %lld, First inference: %lld, Warmup (avg): %g, "
         "Inference (avg): %g\n", (long long)init, (long long)first, warmup, inference);
  if (enable_op_profiling) {
    const char *summary;
    must(LiteRtStopProfiler(profiler), "no end of the profile");
    must(LiteRtGetProfileSummary(profiler, compiled, &summary), "no profile");
    printf("INFO: Operator-wise Profiling Info for Regular Benchmark Runs:\n%s\n", summary);
  }
  fflush(stdout);
  _Exit(0);
}
