{# No two rows agree in all these columns; a null counts as a value of its own. #}
{% test unique_combination(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}

{# No value of the column lies outside; nulls are another test's. #}
{% test accepted_range(model, column_name, least=none, most=none) %}
    select {{ column_name }}
    from {{ model }}
    where
        false
        {% if least is not none %}or {{ column_name }} < {{ least }}{% endif %}
        {% if most is not none %}or {{ column_name }} > {{ most }}{% endif %}
{% endtest %}

{# The columns of one row add up to another of it. #}
{% test adds_up_to(model, column_name, parts) %}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} is distinct from {{ parts | join(" + ") }}
{% endtest %}

{# The column adds up to 1 over the table; to 0 where there is nothing to share. #}
{% test adds_up_to_one(model, column_name, measure) %}
    select
        sum({{ column_name }}) as total_share,
        sum({{ measure }}) as total
    from {{ model }}
    having abs(sum({{ column_name }}) - case when sum({{ measure }}) = 0 then 0 else 1 end) > 1e-9
{% endtest %}
