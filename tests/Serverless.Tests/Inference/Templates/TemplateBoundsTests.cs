using System.Text;
using System.Text.Json;
using Serverless.Inference.Templates;
using Shouldly;

namespace Serverless.Tests.Inference.Templates;

/// <summary>A template is a program out of a model's file: whatever it says, it ends as a prompt or as a fault of its own, within bounds of memory and depth.</summary>
public sealed class TemplateBoundsTests(ITestOutputHelper output)
{
    private const long MaxBytes = 256L << 20;

    private static readonly JsonElement Messages = JsonDocument.Parse("""[{"role":"user","content":"hi"}]""").RootElement;

    [Theory]
    [InlineData("{% set a=namespace() %}{% set a.x=a %}{% set b=namespace() %}{% set b.x=b %}{{ a==b }}")]
    [InlineData("{% set a=namespace() %}{% set a.x=a %}{{ a }}")]
    [InlineData("{% set a=namespace() %}{% set a.x=[a] %}{{ a.x in [a.x, [a.x]] }}{{ [a]|unique }}{{ [a, a]|unique }}{{ a|tojson }}")]
    [InlineData("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}")]
    [InlineData("{% macro f(n) %}{% for i in [1] %}{% if true %}{{ [f(n + 1)] }}{% endif %}{% endfor %}{% endmacro %}{{ f(0) }}")]
    public void What_refers_to_itself_ends(string source) => Bounded(source).ShouldNotBeNull();

    [Theory]
    [InlineData("{{ REP1 }}", "-")]
    [InlineData("{{ REP1 }}", "not ")]
    [InlineData("{{ REP1 }}", "(")]
    [InlineData("{{ REP1 }}", "[")]
    [InlineData("{{ REP1 }}", "{1:")]
    [InlineData("{{ REP1 }}", "+ +")]
    [InlineData("{{ 1REP }}", "+1")]
    [InlineData("{{ 1REP }}", " if 1")]
    [InlineData("{{ 1REP }}", " if 1 else 1")]
    [InlineData("{{ 1REP }}", " is eq 1")]
    [InlineData("{{ 1REP }}", " ** 1")]
    [InlineData("{{ 1REP }}", " or 0")]
    [InlineData("{{ 1REP }}", "|string")]
    [InlineData("{{ xREP }}", ".x")]
    [InlineData("{{ xREP }}", "[0]")]
    [InlineData("{{ xREP }}", "()")]
    [InlineData("REP", "{% if 1 %}")]
    [InlineData("REP", "{% for i in [1] %}")]
    [InlineData("REP", "{% macro f() %}")]
    public void What_is_nested_without_end_is_a_fault_where_it_is_read(string source, string part) =>
        Bounded(source.Replace("REP", string.Concat(Enumerable.Repeat(part, 60_000)), StringComparison.Ordinal)).ShouldNotBeNull();

    [Theory]
    [InlineData("{{ 1.2.3 }}", "'1.2.3' is no number")]
    [InlineData("a\n{{ 1.2.3 }}", "Line 2")]
    [InlineData("{{ x", "Line 1")]
    [InlineData("{#", "comment")]
    [InlineData("{{ x is }}", "a test")]
    [InlineData("{{ (1, }}", "does not end")]
    [InlineData("{% set %}", "name")]
    public void A_fault_of_the_text_is_a_fault_of_the_template(string source, string part) => Should.Throw<TemplateException>(() => ChatTemplate.Parse(source)).Message.ShouldContain(part);

    [Fact]
    public void A_number_of_twenty_digits_is_a_float() => Render("{{ 12345678901234567890 > 1 }}").ShouldBe("True");

    [Theory]
    [InlineData("{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(26) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s|length }}")] // 16 GB, and eight characters written
    [InlineData("{% set ns = namespace(s='ab') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}")]
    [InlineData("{% set ns = namespace(l=[1, 2]) %}{% for i in range(40) %}{% set ns.l = ns.l + ns.l %}{% endfor %}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% set m = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% set m.l = [m.l, m.l] %}{% endfor %}{{ ns.l == m.l }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = {'a': ns.l, 'b': ns.l} %}{% endfor %}{{ ns.l|tojson }}")]
    [InlineData("{{ range(8000)|map('string')|unique|length }}")]
    [InlineData("{% for i in range(100000) %}{{ range(100000)|sort|length }}{% endfor %}")]
    [InlineData("{{ 'a' * 10000000000 }}")]
    [InlineData("{{ ('a' * 100000) * 100000 }}")]
    [InlineData("{% set s = 'a' * 1000000 %}{% for i in range(1000) %}{% set t = s[::-1] %}{% endfor %}")]
    [InlineData("{% set s = 'a' * 1000000 %}{% for i in range(1000) %}{% set t = s[1:] %}{% endfor %}")]
    [InlineData("{% set s = 'a' * 1000000 %}{% for c in s %}{% for d in s %}{% endfor %}{% endfor %}")]
    [InlineData("{% set s = 'a' * 1000000 %}{% set t = s + 'b' %}{% for i in range(100000) %}{{ t in s }}{% endfor %}")]
    [InlineData("{% set s = 'a' * 1000000 %}{{ s|replace('a', s) }}")]
    [InlineData("{% set s = 'a' * 1000000 %}{{ s.split('a')|join(s) }}")]
    [InlineData("{% set s = '<' * 1000000 %}{% for i in range(100) %}{% set t = s|escape %}{% endfor %}")]
    [InlineData("{% set s = 'a\\n' * 100000 %}{{ s|indent(1000) }}")]
    [InlineData("{{ 'a'.ljust(10000000000) }}")]
    [InlineData("{{ 'abc'.count('') }}{% for i in range(100000) %}{% for j in range(100000) %}{{ '' }}{% endfor %}{% endfor %}")]
    [InlineData("{% for i in range(99999) %}{% set x = [i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i]|sort|unique|list %}{% endfor %}")]
    public void What_is_built_compared_or_sorted_is_paid_for(string source) => Bounded(source).ShouldNotBeNull().ShouldContain("memory and work");

    [Theory]
    [InlineData("{{ '%1000000000s' % 'a' }}", "1000000000")]
    [InlineData("{{ '{:1000000000}'.format(1) }}", "1000000000")]
    [InlineData("{{ [[[[1]]]]|tojson(indent=1000000000) }}{{ range(100000)|list|tojson(indent=1000000) }}", null)]
    [InlineData("{{ range(100000)|map('tojson', indent=32)|map('upper')|map('list')|list|length }}", null)]
    public void A_width_is_bounded_and_a_long_list_is_written_within_the_bound(string source, string? part)
    {
        var fault = Bounded(source);

        if (part is not null) fault.ShouldNotBeNull().ShouldContain(part);
    }

    [Fact]
    public void A_long_prompt_is_no_fault()
    {
        var text = new string('x', 4 << 20);
        var messages = JsonSerializer.SerializeToElement(new[] { new { role = "system", content = "short" }, new { role = "user", content = text } });

        var segments = ChatTemplate.Parse(SharedModel.Model.ChatTemplate!).Render(new ChatTemplateInput { Messages = messages });

        segments.Sum(segment => segment.Text.Length).ShouldBeGreaterThan(text.Length);
    }

    [Fact]
    public void Long_conversations_are_no_fault()
    {
        var messages = JsonSerializer.SerializeToElement(Enumerable.Range(0, 20_000).Select(number => new { role = number % 2 == 0 ? "user" : "assistant", content = $"message {number}" }));

        var segments = ChatTemplate.Parse(SharedModel.Model.ChatTemplate!).Render(new ChatTemplateInput { Messages = messages });

        string.Concat(segments.Select(segment => segment.Text)).ShouldContain("message 19999");
    }

    [Fact]
    public void What_a_template_raises_is_told_in_few_words() => Bounded("{{ raise_exception('a' * 1000000) }}").ShouldNotBeNull().Length.ShouldBeLessThan(600);

    [Fact]
    public void Any_template_ends_as_a_prompt_or_as_a_fault_of_its_own() => Fuzz.Run(output, random =>
    {
        var source = new TemplateGrammar(random).Template();
        var messages = JsonSerializer.SerializeToElement(Enumerable.Range(0, random.Next(4)).Select(_ => new { role = "user", content = new string((char)random.Next(32, 400), 1 << random.Next(16)) }));
        try
        {
            ChatTemplate.Parse(source).Render(new ChatTemplateInput { Messages = messages, BosToken = "<s>" });
        }
        catch (TemplateException fault)
        {
            fault.Message.Length.ShouldBeInRange(1, 2000);
        }
    });

    /// <summary>The fault a template ends with, or null; whatever it does costs no more memory than a prompt may.</summary>
    private static string? Bounded(string source)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            Render(source);
            return null;
        }
        catch (TemplateException fault)
        {
            return fault.Message;
        }
        finally
        {
            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThanOrEqualTo(MaxBytes);
        }
    }

    private static string Render(string source)
    {
        var text = new StringBuilder();
        foreach (var segment in ChatTemplate.Parse(source).Render(new ChatTemplateInput { Messages = Messages })) text.Append(segment.Text);
        return text.ToString();
    }
}
