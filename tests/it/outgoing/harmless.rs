//! Texts that tell nobody anything and must stay: what a benchmark is about.

const TEXTS: &str = "\
tg128
pp512
pp512 @ d4096
tg128 @ d32768
q4_0
q8_0
iq4_nl
bf16
f16
mxfp4
Q4_K_M
UD-Q4_K_XL
IQ2_XXS
b11434
7f8ef50cc
build: 7f8ef50cc (11434)
build 7f8ef50cc123
9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
2fd4e1c67a2d28fced849ee1bb76e7391b93eb12
gfx1151
gfx1100
0000:c5:00.0
1002:1586
card1
renderD128
/dev/kfd
/dev/dri/renderD128
/sys/class/drm/card1/device/gpu_metrics
/proc/cpuinfo
/usr/bin/llama-bench
/usr/lib/x86_64-linux-gnu/libvulkan.so.1
/metrics
/v1/chat/completions
http://127.0.0.1:8080/v1
http://localhost:8080/v1/models
0.0.0.0:8080
https://huggingface.co/unsloth/Qwen3-8B-GGUF
https://huggingface.co/unsloth/Qwen3-8B-GGUF/resolve/main/Qwen3-8B-Q4_K_M.gguf
-hf unsloth/Qwen3-8B-GGUF:Q4_K_M
ggml-org/gpt-oss-20b-GGUF
tokens/s
12.50 tokens/s
431.27 t/s
11.70 J/token
299.4 W
126.9 GiB
1/s
GB/s
95.3 GiB/s
and/or
3/5 repetitions
2026/11/27
2026-11-27T03:55:12Z
20261124T035512.123Z-llama-bench-qwen3
03:55:12
HumanEval/0
pass@1
pass@1: 0.872
accuracy 0.715
max_tokens=256
--max-tokens 256
n_predict = 128
--tokenizer Qwen/Qwen3-8B
eos_token_id: 151645
bos token 1
add_bos_token=True
TOKENIZERS_PARALLELISM=false
HSA_OVERRIDE_GFX_VERSION=11.5.1
RADV_PERFTEST=nogttspill
GGML_VK_VISIBLE_DEVICES=0
ROCBLAS_USE_HIPBLASLT=1
HIP_VISIBLE_DEVICES=0
llama-bench -p 512 -n 128 -r 5 -fa 1 -ngl 99
llama-server --ctx-size 262144 --parallel 2 --flash-attn on
-ctk q8_0 -ctv q8_0 -b 2048 -ub 512 -t 16 -mmp 0
ggml_vulkan: Found 1 Vulkan devices:
ggml_vulkan: 0 = AMD Radeon Graphics (RADV GFX1151) (radv) | uma: 1 | fp16: 1 | bf16: 0 | warp size: 64
ggml_cuda_init: found 1 ROCm devices:
Device 0: AMD Radeon Graphics, gfx1151 (0x1151), VMM: no, Wave Size: 32
load_backend: loaded ROCm backend
| model | size | params | backend | ngl | test | t/s |
| qwen3moe 30B.A3B Q4_K - Medium | 16.49 GiB | 30.53 B | Vulkan | 99 | pp512 | 763.12 ± 4.21 |
llama_model_loader: loaded meta data with 39 key-value pairs and 579 tensors
llama_model_loader: - type q4_K: 289 tensors
llama_kv_cache: size = 4096.00 MiB (32768 cells, 48 layers, 1/1 seqs), K (f16): 2048.00 MiB
print_info: general.name = Qwen3 30B A3B Instruct 2507
print_info: n_vocab = 151936
print_info: rope type = 2
srv log_server_r: request: GET /health 200
slot launch_slot_: id 0 | task 12 | processing task
prompt eval time = 1234.56 ms / 512 tokens ( 2.41 ms per token, 414.72 tokens per second)
main: server is listening on http://127.0.0.1:8080 - starting the main loop
Cijk_Ailk_Bljk_HHS_BH_MT64x64x16_MI16x16x16x1_SN_K1
_ZN4ggml3cpu10gemm_bloc8Q4K8Q8KILb1EEEvPKvS3_Pfm
std::vector<float>::operator[]
ggml_backend_buft_alloc_buffer
GGML_OP_FLASH_ATTN_EXT
KHR_coopmat
AMD RYZEN AI MAX+ 395 w/ Radeon 8060S
Linux 6.17.0-8-generic x86_64
Fedora Linux 43
Mesa 25.3.1
vulkan-radeon 1:25.3.1-1
linux-firmware 20251111
temperature 67.5 C
socket 119.8 W of 120 W
throttled: prochot 0.0 %, spl 12.5 %
thermal_throttling=0
{\"n_prompt\": 512, \"n_gen\": 128, \"avg_ts\": 763.123}
{\"samples_ts\": [12.5, 12.6, 12.4]}
<|im_start|>assistant
</think>
line one\\nline two
key value
the serial port
primary key: id
cache_key=3
foreign key
a token is a word
tokens: 128
Basic usage
no such device
vm.swappiness
kernel.sched_autogroup_enabled
amd_iommu=off
ttm.pages_limit=29360128
transparent_hugepage=always
1e-05
-0.0
NaN
0x1586
0xffffffff
ID 5
x1
v2
print_info: EOS token        = 151645 '<|im_end|>'
load: control token: 151661 '<|fim_suffix|>' is not marked as EOG
ms per token: 12
{\"id\":13,\"token\":\" the\",\"logprob\":-0.5}
{\"api_key\": null, \"n\": 1}
{\"api_key\": \"\", \"n\": 1}
{\"logit_bias\":[{\"token\":2}]}
PASS: test_foo
Total pass: 12 / 15
auth: none
AUTH_MODE=none
TOKEN_BUDGET=512
a Basic LLM test
0.85 +/- 0.03
$5/month
28/Nov/2026
tg128@d4096
pass@k
tokens/sec/user
{\"text\":\"Hello.\\nWorld.\\tX\",\"stop\":[\"\\n\"]}
The answer is 4.\\n
Answer A:\\nfoo
\"\\\\d+\\\\.\\\\d+\"
sort_key: x
\"call_key\": \"messages\"
Ünïcödé 日本語 ✓";

const MODELS: [&str; 30] = [
    "Qwen3-30B-A3B-Instruct-2507-UD-Q4_K_XL.gguf",
    "Qwen3-8B-Q4_K_M.gguf",
    "Qwen3-235B-A22B-Thinking-2507-UD-Q2_K_XL-00001-of-00003.gguf",
    "Qwen2.5-Coder-32B-Instruct-Q6_K.gguf",
    "Qwen3-Coder-480B-A35B-Instruct-1M-UD-IQ1_M.gguf",
    "DeepSeek-R1-0528-Qwen3-8B-UD-Q6_K_XL.gguf",
    "DeepSeek-V3.2-Exp-UD-TQ1_0.gguf",
    "Llama-4-Scout-17B-16E-Instruct-UD-Q3_K_XL-00001-of-00002.gguf",
    "Llama-3.3-70B-Instruct-Q4_K_M.gguf",
    "Meta-Llama-3.1-8B-Instruct-Q8_0.gguf",
    "Mistral-Small-3.2-24B-Instruct-2506-UD-Q5_K_XL.gguf",
    "Devstral-Small-2507-UD-Q4_K_XL.gguf",
    "Magistral-Small-2509-Q8_0.gguf",
    "gemma-3-27b-it-UD-Q4_K_XL.gguf",
    "gemma-3n-E4B-it-Q8_0.gguf",
    "gpt-oss-120b-mxfp4-00001-of-00003.gguf",
    "gpt-oss-20b-F16.gguf",
    "GLM-4.5-Air-UD-Q4_K_XL-00001-of-00002.gguf",
    "GLM-4.6-UD-IQ2_M-00001-of-00003.gguf",
    "MiniMax-M2-UD-Q3_K_XL-00001-of-00003.gguf",
    "Kimi-Linear-48B-A3B-Instruct-Q4_K_M.gguf",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-UD-Q8_K_XL.gguf",
    "phi-4-reasoning-plus-UD-Q4_K_XL.gguf",
    "granite-4.0-h-small-UD-Q4_K_XL.gguf",
    "ERNIE-4.5-21B-A3B-PT-UD-Q4_K_XL.gguf",
    "Hunyuan-A13B-Instruct-UD-Q4_K_XL.gguf",
    "dots.llm1.inst-UD-Q3_K_XL-00001-of-00002.gguf",
    "SmolLM3-3B-128K-UD-Q8_K_XL.gguf",
    "nomic-embed-text-v1.5.Q8_0.gguf",
    "xai-grok-2-UD-Q2_K_XL-00001-of-00003.gguf",
];

/// Every harmless text.
pub(super) fn all() -> Vec<String> {
    let mut all: Vec<String> = TEXTS.lines().map(str::to_owned).collect();
    all.extend(MODELS.iter().map(|model| (*model).to_owned()));
    for (name, version) in [
        ("ROCm", "7.1.0.2"),
        ("version", "1.2.3.4"),
        ("driver", "0.9.1.2"),
        ("firmware", "0.0.47.255"),
        ("Mesa", "25.3.0.1"),
        ("kernel", "6.17.0.5"),
        ("Vulkan Instance Version:", "1.4.328.1"),
        ("conformanceVersion =", "1.4.0.0"),
        ("llama-cpp-python", "0.3.16.1"),
        ("BIOS", "3.0.5.1"),
        ("MES", "0.0.0.131"),
    ] {
        all.push(format!("{name} {version}"));
        all.push(format!("v{version}"));
        all.push(format!("package-{version}"));
    }
    for depth in [0, 512, 4096, 8192, 16384, 32768, 65536, 131_072] {
        all.push(format!("pp2048 @ d{depth}"));
    }
    all
}
