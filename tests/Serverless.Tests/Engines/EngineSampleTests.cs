using System.Text.Json;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.TensorRt;
using Serverless.Hosting.Engines.OpenAi.Tgi;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>Load, as real engines tell it.</summary>
public sealed class EngineSampleTests
{
    [Fact]
    public void Vllm_says_what_runs_waits_and_is_held()
    {
        var sample = new VllmDialect().Read(PrometheusText.Parse(TextOf("vllm", "metrics_busy")));

        (sample.Running, sample.Waiting).ShouldBe((16, 8));
        sample.KvCapacityTokens.ShouldNotBeNull().ShouldBeGreaterThan(0);
        ((double)sample.KvUsedTokens!.Value / sample.KvCapacityTokens!.Value).ShouldBe(0.022, 0.001);
        (sample.PromptTokens, sample.GeneratedTokens, sample.CachedTokens, sample.Preemptions).ShouldBe((2354, 883, 256, 0));
    }

    [Fact]
    public void Vllm_recent_and_legacy_names_are_read()
    {
        var recent = new VllmDialect().Read(PrometheusText.Parse(Recording.Metrics("vllm_recent.prom")));
        recent.KvCapacityTokens.ShouldBe(81280);

        var legacy = new VllmDialect().Read(PrometheusText.Parse(Recording.Metrics("vllm_v0_legacy.prom")));
        legacy.KvCapacityTokens.ShouldBe(81767 * 16);
        legacy.Running.ShouldNotBeNull();
    }

    [Fact]
    public void Sglang_says_what_it_holds()
    {
        var sample = new SgLangDialect().Read(PrometheusText.Parse(Recording.Metrics("sglang.prom")));

        (sample.Running, sample.Waiting, sample.KvUsedTokens, sample.KvUsedShare).ShouldBe((162, 2826, 123859, 0.28));
        var ranks = new SgLangDialect().Read(PrometheusText.Parse("sglang:kv_used_tokens{tp_rank=\"0\"} 7\nsglang:kv_used_tokens{tp_rank=\"1\"} 9\nsglang:max_total_num_tokens{tp_rank=\"0\"} 100\nsglang:max_total_num_tokens{tp_rank=\"1\"} 100\n"));
        (ranks.KvUsedTokens, ranks.KvCapacityTokens).ShouldBe((9, 100));
    }

    [Fact]
    public void Tgi_and_tensorrt_say_what_runs_and_waits()
    {
        var tgi = new TgiDialect().Read(PrometheusText.Parse("tgi_batch_current_size 3\ntgi_queue_size 2\ntgi_request_input_length_sum 70\ntgi_request_generated_tokens_sum 50\n"));
        var tensorRt = new TensorRtDialect().Read(PrometheusText.Parse("trtllm_num_requests_running{model_name=\"a\"} 3\ntrtllm_num_requests_waiting{model_name=\"a\"} 2\ntrtllm_kv_cache_utilization{model_name=\"a\"} 0.5\n"));

        (tgi.Running, tgi.Waiting, tgi.PromptTokens, tgi.GeneratedTokens, tgi.KvUsedTokens).ShouldBe((3, 2, 70, 50, null));
        (tensorRt.Running, tensorRt.Waiting, tensorRt.KvUsedShare, tensorRt.KvCapacityTokens).ShouldBe((3, 2, 0.5, null));
    }

    [Fact]
    public void Llama_server_says_what_runs_and_waits()
    {
        var sample = new LlamaCppDialect().Read(PrometheusText.Parse(TextOf("llama-server", "metrics_busy")));

        (sample.Running, sample.Waiting, sample.KvUsedTokens).ShouldBe((1, 21, null));
    }

    [Theory]
    [InlineData("a 1", 1.0)]
    [InlineData("a{} 2 1700000000", 2.0)]
    [InlineData("a{x=\"}\\\"{\",y=\"\\\\\"} 5.1962970112e+010", 5.1962970112e10)]
    [InlineData("a NaN", null)]
    [InlineData("a +Inf", null)]
    [InlineData("a{x=\"", null)]
    [InlineData("a{x} 1", null)]
    [InlineData("{", null)]
    [InlineData("a", null)]
    public void Odd_lines_are_read_or_passed_over(string line, double? value) => PrometheusText.Parse(line).Sum("a").ShouldBe(value);

    private static string TextOf(string engine, string name) => System.Text.Encoding.UTF8.GetString(Recording.Of(engine, name).Body) is ['"', ..] quoted ? JsonSerializer.Deserialize<string>(quoted)! : System.Text.Encoding.UTF8.GetString(Recording.Of(engine, name).Body);
}
