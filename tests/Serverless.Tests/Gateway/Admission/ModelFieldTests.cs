using System.Text;
using Serverless.Gateway.Admission;
using Shouldly;

namespace Serverless.Tests.Gateway.Admission;

public sealed class ModelFieldTests
{
    [Theory]
    [InlineData("{}", """{"model":"m"}""")]
    [InlineData("""{"a": 1}""", """{"model":"m","a": 1}""")]
    [InlineData(""" { "model" : "x", "a": "é" }""", """ { "model" : "m", "a": "é" }""")]
    [InlineData("""{"a":{"model":"inner"},"model":{"odd":[1]} }""", """{"a":{"model":"inner"},"model":"m" }""")]
    [InlineData("""{"\u006dodel":"x"}""", """{"\u006dodel":"m"}""")]
    [InlineData("[]", "[]")]
    [InlineData("{ broken", "{ broken")]
    public void It_is_set_and_nothing_else_is_touched(string body, string expected) =>
        Encoding.UTF8.GetString(ModelField.Set(Encoding.UTF8.GetBytes(body), "m")).ShouldBe(expected);
}
